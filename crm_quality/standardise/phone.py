"""Standardise phone numbers. Does not belong here: deciding whose number it is."""

import re
from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberType

from crm_quality.standardise.placeholder import is_dummy_number, is_placeholder_word
from crm_quality.standardise.text import clean
from crm_quality.standardise.words import word_set

_SEPARATORS = re.compile(r"[\s().·-]+")
_NOT_DIGIT = re.compile(r"\D")
# Several numbers in one field; "021-5555/6666" keeps its first number.
_BETWEEN = re.compile(r"[/;,、|\n]|\bor\b|或")
_EXTENSION_WORD = re.compile(r"(?:转|分机|内线)\s*(?=\d)")
# 010-12345678-801: an extension in the Chinese way.
_DASH_EXTENSION = re.compile(r"^(.*\d.*\d)\s*[-－—]\s*\d{1,6}$")
_CHINESE_MOBILE = re.compile(r"(?:\+?86|0086)?(1[3-9]\d{9})")
_ABROAD = re.compile(r"^\s*00(?=[1-9])")
# The last eight digits of a mobile number are the subscriber's own.
_SUBSCRIBER = 8
_LEAST_DIGITS = 5

_KINDS = {PhoneNumberType.MOBILE: "mobile", PhoneNumberType.FIXED_LINE: "fixed"}


class Phone(NamedTuple):
    """An E.164 number and its kind ('mobile', 'fixed', 'other'); both None where `problem` says why."""

    e164: str | None
    kind: str | None
    problem: str | None


def standardise_phone(value: str | None, country: str | None) -> Phone:
    """The first valid number in a text, read as one of the country (ISO 3166) unless it says +...

    Never raises.
    Problems: 'not a phone number', 'not valid for its country', 'placeholder'.
    """
    text = clean(value)
    if not text:
        return Phone(None, None, None)
    if _is_placeholder(text):
        return Phone(None, None, "placeholder")
    first: Phone | None = None
    for part in _BETWEEN.split(_EXTENSION_WORD.sub(" ext. ", text)):
        if not part.strip():
            continue
        found = _parse(part.strip(), country)
        if found.problem is not None and (match := _DASH_EXTENSION.match(part.strip())):
            shorter = _parse(match[1], country)
            found = shorter if shorter.problem is None else found
        if found.problem is None:
            return found
        first = first or found
    # 310/246-1501: one number, whose area code a slash sets off.
    if (whole := _parse(text, country)).problem is None:
        return whole
    return first or Phone(None, None, "not a phone number")


def _parse(text: str, country: str | None) -> Phone:
    if country == "CN":
        mobile = _CHINESE_MOBILE.fullmatch(_SEPARATORS.sub("", text))
        if mobile and _chinese_mobile_pattern().fullmatch(mobile[1]):
            return _judged(mobile[1], f"+86{mobile[1]}", "mobile")
    try:
        # 00 is how most of the world dials abroad, also in systems that keep records of the US (011) and Japan (010).
        number = phonenumbers.parse(_ABROAD.sub("+", text), country)
    except phonenumbers.NumberParseException:
        # Without a country "+49..." is still readable, and so may be "0049...", but not "089 1234".
        return Phone(None, None, "not a phone number")
    # Asking for the type is asking for validity, too: a number of no type is not valid.
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:
        if text.startswith("00"):
            # The usual prefix of a foreign number is read everywhere, also where a country dials another.
            return _parse("+" + text.removeprefix("00"), country)
        digits = _NOT_DIGIT.sub("", text)
        problem = "not a phone number" if len(digits) < _LEAST_DIGITS else "not valid for its country"
        return Phone(None, None, problem)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return _judged(str(number.national_number), e164, _KINDS.get(kind, "other"))


def _judged(national: str, e164: str, kind: str) -> Phone:
    tail = national[-_SUBSCRIBER:]
    if national in word_set("placeholders", "numbers") or (kind == "mobile" and is_dummy_number(tail, _SUBSCRIBER)):
        return Phone(None, None, "placeholder")
    return Phone(e164, kind, None)


@lru_cache(maxsize=1)
def _chinese_mobile_pattern() -> re.Pattern[str]:
    """phonenumbers' own pattern: most numbers here are Chinese mobiles, and its full parse takes 140 us."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("CN")
    pattern = metadata.mobile.national_number_pattern if metadata and metadata.mobile else None
    # Nothing matches without the metadata: every number then takes the long way.
    return re.compile(pattern or "(?!)")


def _is_placeholder(text: str) -> bool:
    if is_placeholder_word(text):
        return True
    digits = _NOT_DIGIT.sub("", text)
    # The last seven digits tell also where an area code or a country code stands in front: 021-00000000.
    return digits in word_set("placeholders", "numbers") or is_dummy_number(digits) or _is_zeros(digits)


def _is_zeros(digits: str) -> bool:
    return len(digits) >= 7 and digits[-7:] in ("0000000", "1111111", "9999999") and len(set(digits)) <= 4
