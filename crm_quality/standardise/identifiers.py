"""Standardise tax ids and national ids. Does not belong here: filling birth date or gender from them."""

import re
from datetime import date
from typing import NamedTuple

from crm_quality.standardise.placeholder import is_dummy_number, is_placeholder_word, is_repeated
from crm_quality.standardise.text import clean

_SEPARATOR = re.compile(r"[\s./\\_:,'·-]+")
_PLAIN = re.compile(r"[A-Z0-9]{5,24}")
# The same Swiss number is written with and without the word for value added tax in three languages.
_SWISS = re.compile(r"CHE\d{9}(?:MWST|TVA|IVA)?")
_DIGIT = re.compile(r"\d")
_RESIDENT = re.compile(r"\d{17}[\dX]")
_OLD_RESIDENT = re.compile(r"\d{15}")
# Words in front of a number: "VAT: DE...", "USt-IdNr. DE...", "税号 9111...".
_LABEL = re.compile(
    r"^(?:vat(?: ?(?:no|id|number))?|ust-?id(?:-?nr)?|tax ?id|tin|税号|纳税人识别号|统一社会信用代码)[.:# ]*",
    re.IGNORECASE,
)
# Country prefix of a VAT number -> python-stdnum's name of the country.
_VAT_PREFIXES = "AT BE BG CY CZ DE DK EE ES FI FR GB GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_EU = {prefix: prefix.lower() for prefix in _VAT_PREFIXES.split()} | {"EL": "gr"}
_CENTURY_OF_OLD_IDS = "19"


class TaxId(NamedTuple):
    """A tax id without separators; None where `problem` says why."""

    tax_id: str | None
    problem: str | None


class NationalId(NamedTuple):
    """An id of a person; birth date and gender where the number itself tells them (Chinese resident ids)."""

    national_id: str | None
    birth_date: date | None
    gender: str | None
    problem: str | None


def standardise_tax_id(value: str | None, country: str | None) -> TaxId:
    """A tax id in one writing, checked by the rules of the country (ISO 3166 code); never raises.

    China: the 18-character 统一社会信用代码 (GB 32100-2015, check character), a resident id, or the 15 or 20
    characters of older registrations. European Union and Great Britain: the form of the VAT number, with its
    country in front; its check digits are not judged. Elsewhere 5 to 24 letters and digits pass.
    Problems: 'placeholder', 'not a tax id', 'check digit', 'not valid for its country'.
    """
    text = _compact(value)
    if not text:
        return TaxId(None, _why_nothing(value))
    if _is_dummy(text):
        return TaxId(None, "placeholder")
    if not _PLAIN.fullmatch(text) or not _DIGIT.search(text):
        return TaxId(None, "not a tax id")
    if country == "CN" or (country is None and text[:2].isdigit() and len(text) == 18):
        return _chinese_tax_id(text)
    return _foreign_tax_id(text, country)


def standardise_national_id(value: str | None) -> NationalId:
    """A personal id in one writing; Chinese resident ids (GB 11643-1999) are checked and given 18 characters.

    Other numbers pass with 5 to 24 letters and digits, for no country stands beside them. Never raises.
    Problems: 'placeholder', 'not a national id', 'birth date', 'check digit'.
    """
    text = _compact(value)
    if not text:
        return NationalId(None, None, None, _why_nothing(value))
    if _is_dummy(text):
        return NationalId(None, None, None, "placeholder")
    if _RESIDENT.fullmatch(text):
        return _resident(text)
    if _OLD_RESIDENT.fullmatch(text):
        found = _resident(_renewed(text))
        # Fifteen digits may be another country's number, which is no reason to refuse it.
        return found if found.problem is None else NationalId(text, None, None, None)
    if not _PLAIN.fullmatch(text) or not _DIGIT.search(text):
        return NationalId(None, None, None, "not a national id")
    return NationalId(text, None, None, None)


def _compact(value: str | None) -> str:
    """Upper-case letters and digits, without label and separators; '' for a placeholder such as n/a."""
    if is_placeholder_word(clean(value)):
        return ""
    return _SEPARATOR.sub("", _LABEL.sub("", clean(value))).upper()


def _why_nothing(value: str | None) -> str | None:
    return "placeholder" if clean(value) else None


def _is_dummy(text: str) -> bool:
    # A resident id of one repeated digit may end in X, which is only its check character.
    return is_placeholder_word(text) or is_repeated(text, 4) or is_repeated(text[:-1], 8) or is_dummy_number(text)


def _chinese_tax_id(text: str) -> TaxId:
    from stdnum.cn import uscc
    from stdnum.exceptions import InvalidChecksum, ValidationError

    if (len(text) in (15, 17, 20) and text[:15].isdigit()) or (len(text) == 15 and text[:6].isdigit()):
        return TaxId(text, None)
    # A sole trader's tax id is the owner's resident id.
    if _RESIDENT.fullmatch(text) and _resident(text).problem is None:
        return TaxId(text, None)
    try:
        return TaxId(uscc.validate(text), None)
    except InvalidChecksum:
        return TaxId(None, "check digit")
    except ValidationError:
        return TaxId(None, "not valid for its country")


def _foreign_tax_id(text: str, country: str | None) -> TaxId:
    if _SWISS.fullmatch(text):
        return TaxId(text[:12], None)
    if text[:2] in _EU:
        number = _vat(text[:2], text)
        return TaxId(number, None) if number else TaxId(None, "not valid for its country")
    # Without a prefix it may also be a number of another kind, such as a German Steuernummer.
    number = _vat(country, text) if country in _EU else None
    return TaxId(number or text, None)


def _vat(prefix: str, text: str) -> str | None:
    """The VAT number with its country in front; None when it has not the form of that country's numbers."""
    from stdnum import get_cc_module
    from stdnum.exceptions import InvalidChecksum, InvalidComponent, ValidationError

    number = text.removeprefix(prefix)
    module = get_cc_module(_EU[prefix], "vat")
    if module is None:
        return None
    try:
        number = module.validate(number)
    except (InvalidChecksum, InvalidComponent):
        # Only the form is judged: some administrations issue numbers that fail the published check.
        pass
    except ValidationError:
        return None
    prefix = "EL" if prefix == "GR" else prefix
    return prefix + number.removeprefix(prefix)


def _resident(text: str) -> NationalId:
    from stdnum.cn import ric

    if ric.calc_check_digit(text) != text[-1]:
        return NationalId(None, None, None, "check digit")
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return NationalId(None, None, None, "birth date")
    return NationalId(text, born, "male" if int(text[16]) % 2 else "female", None)


def _renewed(text: str) -> str:
    """The 18-character form of a 15-digit id: the century and a check character are added."""
    from stdnum.cn import ric

    longer = text[:6] + _CENTURY_OF_OLD_IDS + text[6:]
    return longer + ric.calc_check_digit(longer + "0")
