"""Standardise company names: core name, legal form, branch. Does not belong here: which companies are one."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from crm_quality.standardise.pinyin import syllables
from crm_quality.standardise.placeholder import (
    is_keyboard_mash,
    is_placeholder_word,
    is_repeated,
    is_test_word,
)
from crm_quality.standardise.text import HANZI, as_written, clean, fold, has_hanzi, romanise
from crm_quality.standardise.words import load, word_set

_BRACKETS = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]|【([^】]*)】|〔([^〕]*)〕")
_HANZI_OR_WORD = re.compile(f"[{HANZI}]+|[^{HANZI}]+")
_LETTER = re.compile(r"[^\W\d_]")
_NOT_WORD = re.compile(r"[\W_]+")
# *ST沪科: the mark that a Chinese stock exchange sets before the name of a company in trouble.
_EXCHANGE_MARK = re.compile(rf"^s?\s*[*]?\s*st\s*(?=[{HANZI}])", re.IGNORECASE)
# A name of one character says nothing: rather keep the region or the industry word than leave that.
_LEAST_CORE = 2


class CompanyName(NamedTuple):
    """A company name in its parts; `core_name` and `core_key` are None where `problem` says why.

    `written_name`: the name with the characters of the source, where these are not the simplified ones.
    """

    company_name: str | None
    core_name: str | None
    core_key: str | None
    legal_form: str | None
    is_branch: bool
    problem: str | None
    written_name: str | None = None


def standardise_company_name(value: str | None) -> CompanyName:
    """The display name, its core (no legal form, region or branch words) and Latin key words; never raises.

    北京华为技术有限公司 has the core 华为技术 and the key "hua wei ji shu", Siemens AG "siemens" for both.
    """
    name = clean(value)
    if not name:
        return CompanyName(None, None, None, None, False, None)
    problem = _problem(name)
    if problem:
        return CompanyName(name, None, None, None, False, problem, as_written(name, value))
    core, legal_form, is_branch = _hanzi_core(name) if has_hanzi(name) else _latin_core(name)
    return CompanyName(name, core, core_key(core), legal_form, is_branch, None, as_written(name, value))


def core_key(core: str) -> str:
    """Latin lower-case words of a core name: pinyin syllables for characters, romanised words for the rest."""
    words: list[str] = []
    for part in _HANZI_OR_WORD.findall(core):
        words.extend(syllables(part) if has_hanzi(part) else romanise(part).split())
    return " ".join(words)


def _problem(name: str) -> str | None:
    # Some companies are named by a number (360, 4711), so digits alone are judged only when they are dummies.
    if not _NOT_WORD.sub("", name) or not (_LETTER.search(name) or 2 <= len(_NOT_WORD.sub("", name)) <= 4):
        return "placeholder" if is_placeholder_word(name) and _LETTER.search(name) else "no letters"
    folded = fold(name)
    words = folded.split()
    if is_placeholder_word(name) or is_repeated(folded.replace(" ", "")) or name in load("companies")["legal_forms"]:
        return "placeholder"
    without_form = _latin_core(name)[0].split() if not has_hanzi(name) else words
    if any(list_ and all(_is_no_name(word) for word in list_) for list_ in (words, without_form)):
        return "placeholder"
    if has_hanzi(name) and is_test_word(_strip_form(folded.replace(" ", ""))[0]):
        return "placeholder"
    if all(is_keyboard_mash(word) for word in without_form or words) or is_keyboard_mash(folded, least=3):
        return "keyboard mash"
    return None


def _is_no_name(word: str) -> bool:
    return is_test_word(word) or word in word_set("companies", "no_name_words")


def _hanzi_core(name: str) -> tuple[str, str | None, bool]:
    text, bracketed = _without_brackets(_EXCHANGE_MARK.sub("", name))
    compact = re.sub(r"\s+", "", text) if not re.search(r"[A-Za-z] [A-Za-z]", text) else text
    compact = _NOT_WORD.sub("", compact.casefold()) if " " not in compact else compact.casefold()
    head, is_branch = _without_branch(compact)
    head, legal_form = _strip_form(head)
    core = _without_region(head) or head or compact
    if legal_form is None and any(form in bracketed for form in ("有限合伙", "普通合伙", "特殊普通合伙")):
        legal_form = "合伙企业"
    return core.replace(" ", "") if not re.search("[a-z] [a-z]", core) else core, legal_form, is_branch


def _without_brackets(name: str) -> tuple[str, str]:
    """The name without brackets that hold a region or a form; other brackets only lose their marks."""
    dropped: list[str] = []

    def replace(match: re.Match[str]) -> str:
        inner = next((group for group in match.groups() if group), "").strip()
        if not inner or _is_region(inner) or inner in word_set("companies", "bracket_words"):
            dropped.append(inner)
            return " "
        return f" {inner} "

    text = re.sub(r"\s+", " ", _BRACKETS.sub(replace, name)).strip()
    return (text, " ".join(dropped)) if _NOT_WORD.sub("", text) else (name, "")


def _without_branch(name: str) -> tuple[str, bool]:
    """The head office's part of a branch's name: 华为公司上海分公司 without the last five characters."""
    word = next((w for w in _longest_first("branches") if name.endswith(w) and len(name) > len(w)), None)
    if word is None:
        return name, False
    head = name.removesuffix(word)
    forms = [form for form in _longest_first("legal_forms") if form in head]
    if forms:
        return head[: max(head.rfind(form) + len(form) for form in forms)], True
    # 工商银行上海: the place of the branch stands at the end, in front of the branch word.
    longest = min(_longest_region(), len(head) - _LEAST_CORE)
    region = next((n for n in range(longest, 1, -1) if head[-n:] in _places()), 0)
    return head[: len(head) - region], True


def _strip_form(name: str) -> tuple[str, str | None]:
    """The name without its legal form, and the form in its usual writing."""
    found: str | None = None
    for form in word_set("companies", "prefixed_forms"):
        if name.startswith(form) and len(name) - len(form) >= _LEAST_CORE:
            name, found = name[len(form) :], form
    forms = _longest_first("legal_forms")
    while name.endswith(forms):
        ending = next((f for f in forms if name.endswith(f) and len(name) - len(f) >= _LEAST_CORE), None)
        if ending is None:
            break
        name = name.removesuffix(ending)
        found = found or load("companies")["legal_forms"][ending]
    return name, found


def _without_region(name: str) -> str:
    """The name without regions in front, unless what is left would name no company (上海银行)."""
    shorter = name
    while True:
        longest = min(_longest_region(), len(shorter) - _LEAST_CORE)
        region = next((n for n in range(longest, 1, -1) if shorter[:n] in _places()), 0)
        if not region or shorter[region:] in word_set("companies", "generic"):
            return shorter
        shorter = shorter[region:]


def _is_region(text: str) -> bool:
    return text.casefold() in word_set("companies", "latin_regions") or text in _regions()


@lru_cache(maxsize=1)
def _regions() -> frozenset[str]:
    """Provinces and cities, each with and without the word for what it is."""
    places = load("companies")
    names = set(places["countries"].split())
    for province in places["provinces"].split():
        names |= {province, f"{province}省", f"{province}市", f"{province}自治区"}
    for city in places["cities"].split():
        names |= {city, f"{city}市"}
    return frozenset(names | set(places["other_regions"].split()))


@lru_cache(maxsize=1)
def _places() -> frozenset[str]:
    # 中国 in front is part of the name (中国移动); only in brackets is it a region.
    return _regions() - set(load("companies")["countries"].split())


@lru_cache(maxsize=1)
def _longest_region() -> int:
    return max(map(len, _places()))


@cache
def _longest_first(key: str) -> tuple[str, ...]:
    return tuple(sorted(load("companies")[key], key=lambda word: (-len(word), word)))


def _latin_core(name: str) -> tuple[str, str | None, bool]:
    text, _ = _without_brackets(name)
    words, is_branch = _without_branch_words(_words(text))
    if not is_branch:
        words = _words(_without_address(text))
    form: str | None = None
    # N.V. Philips, also as N V Philips; công ty cổ phần FPT.
    for count in (1, 2, 3, 4):
        if len(words) > count and "".join(words[:count]) in word_set("companies", "prefixed_forms"):
            form, words = "".join(words[:count]), words[count:]
            break
    # "Siemens Ltd., China" means "Siemens (China) Ltd."
    if len(words) > 2 and words[-1] in word_set("companies", "latin_regions") and (words[-2],) in _forms():
        words = words[:-1]
    while len(words) > 1:
        length = next((n for n in (5, 4, 3, 2, 1) if n < len(words) and tuple(words[-n:]) in _forms()), 0)
        if not length:
            length = _spaced_form(words)
        if not length:
            break
        form = form or _forms().get(tuple(words[-length:])) or "".join(words[-length:])
        words = words[:-length]
        while len(words) > 1 and words[-1] in ("and", "&", "und", "et", "y", "e"):
            words = words[:-1]
    if len(words) > 1 and words[0] == "the":
        words = words[1:]
    return " ".join(words) or fold(name) or name.casefold(), form, is_branch


def _without_address(text: str) -> str:
    """Unilever N.V., Rotterdam, NL: what a comma sets apart behind the legal form is where the company is."""
    parts = text.split(",")
    for count in range(1, len(parts)):
        words, behind = _words(",".join(parts[:count])), _words(parts[count])
        is_whole = any(tuple(words[-n:]) in _forms() for n in (3, 2, 1) if n < len(words)) or _spaced_form(words)
        if is_whole and behind and tuple(behind) not in _forms():
            return ",".join(parts[:count])
    return text


def _spaced_form(words: list[str]) -> int:
    """How many single letters at the end spell a legal form: AKZO NOBEL N V."""
    letters = (n for n in (3, 2) if n < len(words) and all(len(word) == 1 for word in words[-n:]))
    return next((n for n in letters if ("".join(words[-n:]),) in _forms()), 0)


def _words(text: str) -> list[str]:
    """Folded words, with the letters of dotted abbreviations joined: S.A. de C.V. as sa de cv."""
    text = text.replace("&", " and ").replace("+", " and ")
    text = re.sub(r"(?<![^\W_])((?:[^\W\d_]\.){1,5}[^\W\d_]?)(?![^\W_])", lambda m: m[1].replace(".", "") + " ", text)
    # A/S and K/S are legal forms; the slash between whole words is not.
    text = re.sub(r"\b([A-Za-z])/([A-Za-z])\b", r"\1\2", text)
    return fold(text).split()


@lru_cache(maxsize=1)
def _forms() -> dict[tuple[str, ...], str]:
    """Word sequences that are legal forms, from cleanco's lists and our own, with their usual writing."""
    from cleanco.termdata import terms_by_type

    forms: dict[tuple[str, ...], str] = {}
    for terms in terms_by_type.values():
        for term in terms:
            words = tuple(_words(term))
            if words and len("".join(words)) > 1:
                forms.setdefault(words, " ".join(words))
    for writing, variants in load("companies")["latin_legal_forms"].items():
        for variant in variants:
            forms[tuple(_words(variant))] = writing
    for word in word_set("companies", "not_legal_forms"):
        forms.pop((word,), None)
    return forms


def _without_branch_words(words: list[str]) -> tuple[list[str], bool]:
    branches = word_set("companies", "latin_branches")
    if len(words) < 2 or not branches.intersection(words[1:]):
        return words, False
    position = max(index for index, word in enumerate(words) if index and word in branches)
    behind = words[position + 1 :]
    # "Siemens AG Shanghai Branch", "Siemens AG, Zweigniederlassung Wien": the head ends with its form.
    head = words[:position]
    for end in range(len(head), 1, -1):
        if any(tuple(head[end - n : end]) in _forms() for n in (1, 2, 3) if n < end):
            return head[:end], True
    if len(head) > 1 and head[-1] in word_set("companies", "latin_regions") and not behind:
        head = head[:-1]
    return head, True
