"""Standardise names of persons, Chinese and Latin. Does not belong here: companies, deciding who is who."""

import re
from functools import lru_cache
from typing import NamedTuple

from crm_quality.standardise.pinyin import all_syllables, surname_syllables, syllables
from crm_quality.standardise.placeholder import (
    is_keyboard_mash,
    is_placeholder_word,
    is_repeated,
    is_test_word,
)
from crm_quality.standardise.text import HANZI, as_written, clean, fold, has_hanzi, is_hanzi, romanise
from crm_quality.standardise.words import load, word_set

_BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]|【[^】]*】")
_HANZI_RUN = re.compile(f"[{HANZI}]+")
# The dot between the parts of a foreign name written in characters: 买买提·艾力.
_MIDDLE_DOT = re.compile("[·•・‧∙.]")
_EDGE = re.compile(r"^[\W_]+|[^\w.)]+$")
_HANGUL = re.compile("[가-힣 ]+")
_SPACED = re.compile(r"\s+")
_NOT_LETTER = re.compile(r"[\W\d_]+")
_WORD = re.compile(r"[^\W\d_]+")
_MASKED = re.compile("[某*]")


class PersonName(NamedTuple):
    """A name in its standard form; the keys are None where `problem` says why, or where there is no name.

    `written_...`: the same with the characters of the source, where these are not the simplified ones.
    """

    std_full_name: str | None
    std_given_name: str | None
    std_family_name: str | None
    hanzi: str | None
    given_key: str | None
    family_key: str | None
    name_key: str | None
    problem: str | None
    written_full_name: str | None = None
    written_given_name: str | None = None
    written_family_name: str | None = None


class _Parts(NamedTuple):
    given: str
    family: str
    generation: str = ""
    dotted: bool = False


# So many surnames cover some 85 % of all Chinese; rarer ones (那, 明) are more often part of a given name.
_FREQUENT = 110
EMPTY = PersonName(None, None, None, None, None, None, None, None)


def standardise_person_name(full_name: str | None, given_name: str | None, family_name: str | None) -> PersonName:
    """One standard form of a name that came in up to three fields; never raises.

    Given and family name win over the full name, which is split where they are missing. `name_key` holds the
    sorted Latin words of the name, so that 王伟, "Wang Wei" and "Wei, Wang" share one.
    """
    full, given, family = _tidy(full_name), _tidy(given_name), _tidy(family_name)
    if not (full or given or family):
        came = any(clean(value) for value in (full_name, given_name, family_name))
        return EMPTY._replace(problem="no letters") if came else EMPTY
    parts = _capitalised(_split_fields(full, given, family))
    display = _display(parts)
    problem = _problem(display, parts)
    if problem:
        return PersonName(display, parts.given or None, parts.family or None, None, None, None, None, problem)
    hanzi = _hanzi(parts, full)
    given_key, family_key = _keys(parts)
    tokens = f"{given_key} {family_key}".split()
    return PersonName(
        display,
        parts.given or None,
        parts.family or None,
        hanzi,
        given_key or None,
        family_key or None,
        " ".join(sorted(tokens)) or None,
        None,
        *_as_written(parts, full_name, given_name, family_name),
    )


def _as_written(parts: _Parts, *texts: str | None) -> tuple[str | None, str | None, str | None]:
    given, family = as_written(parts.given, *texts), as_written(parts.family, *texts)
    if not given and not family:
        return None, None, None
    written = parts._replace(given=given or parts.given, family=family or parts.family)
    return _display(written), given, family


def _tidy(value: str | None) -> str:
    """The text without titles, brackets around nicknames, or punctuation at its ends."""
    text = clean(value)
    if not text:
        return ""
    bare = _BRACKETS.sub(" ", text).strip()
    text = _EDGE.sub("", bare if _NOT_LETTER.sub("", bare) else text.strip("()[]【】"))
    if has_hanzi(text):
        return _without_chinese_title(text)
    return _without_latin_titles(text)


def _without_chinese_title(text: str) -> str:
    titles = _titles_longest_first()
    if not text.endswith(titles):
        return text
    title = next((title for title in titles if text.endswith(title) and len(text) > len(title)), "")
    return text.removesuffix(title).rstrip()


@lru_cache(maxsize=1)
def _titles_longest_first() -> tuple[str, ...]:
    return tuple(sorted(word_set("names", "chinese_titles"), key=lambda title: (-len(title), title)))


def _without_latin_titles(text: str) -> str:
    words = text.split(" ")
    while len(words) > 1 and fold(words[0]).replace(" ", "") in word_set("names", "prefixes"):
        words = words[1:]
    # "Wei Md" is a name of two words: a degree needs a name of at least two words, or a comma, before it.
    while len(words) > 1 and _is_degree(words):
        words = words[:-1]
    return " ".join(words).rstrip(" ,;")


def _is_degree(words: list[str]) -> bool:
    known = fold(words[-1]).replace(" ", "") in word_set("names", "suffixes")
    return known and (len(words) > 2 or words[-2].endswith(","))


def _split_fields(full: str, given: str, family: str) -> _Parts:
    if given and family:
        return _mend_fields(given, family)
    if full:
        parts = _split_full(full)
        # Half a name in its own field still says which half of the full name is which.
        if family and fold(parts.given) == fold(family):
            return _Parts(parts.family, parts.given)
        if given and fold(parts.family) == fold(given):
            return _Parts(parts.family, parts.given)
        return parts
    only = given or family
    # A whole Chinese name, or "Last, First", often stands in one of the two fields.
    if ((is_hanzi(only) or _HANGUL.fullmatch(only)) and len(only) >= 3) or "," in only:
        return _split_full(only)
    return _Parts(given, family)


def _mend_fields(given: str, family: str) -> _Parts:
    if not (is_hanzi(given) and is_hanzi(family)):
        return _Parts(given, *_generation(family))
    if len(given) > len(family) and given.startswith(family) and _is_surname(family):
        return _Parts(given[len(family) :], family)
    if _is_surname(given) and not _is_surname(family):
        return _Parts(family, given)
    return _Parts(given, family)


def _is_surname(text: str) -> bool:
    return text in word_set("names", "surnames") or text in word_set("names", "compound_surnames")


def _split_full(full: str) -> _Parts:
    if has_hanzi(full):
        return _split_hanzi(full)
    if _HANGUL.fullmatch(full):
        return _split_hangul(full)
    return _split_latin(full)


def _split_hanzi(full: str) -> _Parts:
    pieces = [piece for piece in _MIDDLE_DOT.split(full) if piece.strip()]
    if len(pieces) > 1 and all(is_hanzi(piece.replace(" ", "")) for piece in pieces):
        pieces = [piece.replace(" ", "") for piece in pieces]
        return _Parts("·".join(pieces[:-1]), pieces[-1], dotted=True)
    words = full.split(" ")
    if not is_hanzi("".join(words)):
        return _split_mixed(full)
    if len(words) == 2 and _is_surname(words[1]) and not _is_surname(words[0]):
        return _Parts(words[0], words[1])
    # 王 小明, and 佐藤 涼平: whoever wrote a space behind two characters knew of a surname.
    if len(words) == 2 and (_is_surname(words[0]) or len(words[0]) == 2):
        return _Parts(words[1], words[0])
    name = "".join(words)
    length = 2 if len(name) > 1 and name[:2] in word_set("names", "compound_surnames") else 1
    if len(name) > 3:  # few Chinese have so long a name
        japanese = word_set("names", "japanese_surnames")
        length = next((size for size in (3, 2) if name[:size] in japanese), length)
    return _Parts(name[length:], name[:length])


def _split_hangul(full: str) -> _Parts:
    """Korean names: 김정자, 김 정자 and 정자 김."""
    surnames = load("names")["korean_surnames"]
    words = full.split(" ")
    if len(words) == 2 and words[1] in surnames and words[0] not in surnames:
        return _Parts(words[0], words[1])
    if len(words) == 2:
        return _Parts(words[1], words[0])
    name = "".join(words)
    length = 2 if len(name) > 2 and name[:2] in surnames else 1
    return _Parts(name[length:], name[:length]) if len(name) > 1 else _Parts("", name)


def _split_mixed(full: str) -> _Parts:
    """Characters and Latin letters: "Wang Wei 王伟" is named by its characters, "David 王" by both."""
    hanzi = "".join(_HANZI_RUN.findall(full))
    latin = _EDGE.sub("", _SPACED.sub(" ", _HANZI_RUN.sub(" ", full)).strip())
    if len(hanzi) >= 2 or not fold(latin):
        return _split_hanzi(hanzi)
    return _Parts(latin, hanzi)


def _split_latin(full: str) -> _Parts:
    before, comma, behind = (part.strip() for part in full.rpartition(","))
    if comma and fold(behind) in word_set("names", "generations"):
        return _split_latin(before)._replace(generation=behind)
    if full.count(",") == 1 and before and behind:
        return _Parts(behind, *_generation(before))
    words = full.replace(",", " ").split()
    generation = ""
    if len(words) > 2 and fold(words[-1]) in word_set("names", "generations"):
        generation = words.pop()
    if len(words) == 1:
        return _Parts("", words[0], generation)
    if _is_family_first(words):
        return _Parts(" ".join(words[1:]), words[0], generation)
    start = len(words) - 1
    while start > 1 and fold(words[start - 1]) in word_set("names", "particles"):
        start -= 1
    return _Parts(" ".join(words[:start]), " ".join(words[start:]), generation)


def _generation(family: str) -> tuple[str, str]:
    words = family.split()
    if len(words) > 1 and fold(words[-1]) in word_set("names", "generations"):
        return " ".join(words[:-1]).rstrip(","), words[-1]
    return family, ""


def _is_family_first(words: list[str]) -> bool:
    """WANG Wei, or a pinyin name of which only the first word is a frequent surname: Wang Xiaoming, Li Na."""
    rest = words[1:]
    if words[0].isupper() and len(words[0]) > 2 and not any(word.isupper() or word.isdigit() for word in rest):
        return True
    if not _latin_surname(words[0]) or _latin_surname(words[-1]):
        return False
    return all(_is_pinyin(fold(word)) for word in rest)


def _latin_surname(word: str) -> bool:
    return _pinyin_word(fold(word)) in _surname_readings(_FREQUENT)


@lru_cache(maxsize=2)
def _surname_readings(first: int | None = None) -> frozenset[str]:
    """Pinyin of the compound surnames and of the `first` most frequent single ones, or of all."""
    single = load("names")["surnames"].split()[:first]
    return frozenset("".join(surname_syllables(name)) for name in [*single, *word_set("names", "compound_surnames")])


def _is_pinyin(word: str) -> bool:
    """Whether a word is made of one to three pinyin syllables."""
    known = all_syllables()

    def covered(text: str, left: int) -> bool:
        if not text:
            return True
        return left > 0 and any(
            text[:length] in known and covered(text[length:], left - 1) for length in range(1, min(6, len(text)) + 1)
        )

    return bool(word) and word.isascii() and covered(word.replace(" ", ""), 3)


def _display(parts: _Parts) -> str:
    if parts.dotted:
        return f"{parts.given}·{parts.family}"
    is_chinese = is_hanzi(parts.family or parts.given) and (not parts.given or has_hanzi(parts.given))
    if is_chinese or _HANGUL.fullmatch(parts.family + parts.given):
        return f"{parts.family}{parts.given}"
    return " ".join(part for part in (parts.given, parts.family, parts.generation) if part)


def _capitalised(parts: _Parts) -> _Parts:
    """SMITH and smith as Smith; a word in mixed case stays as it was written, as do initials (JD Smith)."""
    written = parts.given + parts.family
    least = 2 if written.isupper() else 3

    def word(match: re.Match[str]) -> str:
        text = match[0]
        if written.islower():
            return text if text in word_set("names", "particles") else text.capitalize()
        return text.capitalize() if text.isupper() and len(text) >= least else text

    return parts._replace(given=_WORD.sub(word, parts.given), family=_WORD.sub(word, parts.family))


def _hanzi(parts: _Parts, full: str) -> str | None:
    """The full name in characters; a lone character beside a Latin name is none."""
    display = _display(parts)
    name = display if parts.dotted else "".join(_HANZI_RUN.findall(display))
    if not name and full:
        name = "".join(_HANZI_RUN.findall(full))
    latin = bool(fold(_HANZI_RUN.sub("", parts.given + parts.family)))
    return None if not name or (latin and len(name) < 2) else name


def _keys(parts: _Parts) -> tuple[str, str]:
    given = _key(parts.given, surname=False)
    family = _key(parts.family, surname=True)
    words = given.split()
    # "Xiao Ming" and "Xiao-Ming" are 小明 written apart, but "Jo An Smith" has no Chinese surname.
    if len(words) == 2 and family in _surname_readings() and all(word in all_syllables() for word in words):
        given = "".join(words)
    return given, family


# A few thousand names make up most of a customer base.
@lru_cache(maxsize=100_000)
def _key(part: str, surname: bool) -> str:
    if has_hanzi(part):
        hanzi = "".join(_HANZI_RUN.findall(part))
        read = "".join(surname_syllables(hanzi) if surname else syllables(hanzi))
        return f"{read} {romanise(_HANZI_RUN.sub(' ', part))}".strip()
    if surname and part in load("names")["korean_surnames"]:
        return str(load("names")["korean_surnames"][part])
    return " ".join(_pinyin_word(word) for word in _latin_words(part))


def _latin_words(part: str) -> list[str]:
    # The umlaut must be seen before `fold` drops it: Lü is the surname 吕, spelt LYU in passports.
    return romanise(re.sub(r"\b([LNln])ü(?=e?\b)", r"\1v", part)).split()


def _pinyin_word(word: str) -> str:
    return {"lv": "lyu", "nv": "nyu", "lve": "lyue", "nve": "nyue"}.get(word, word)


def _problem(display: str, parts: _Parts) -> str | None:
    letters = _NOT_LETTER.sub("", display)
    if not letters:
        return "no letters"
    words = [word for word in fold(display).split() if not word.isdigit()]
    lower = " ".join(words)
    if lower in word_set("placeholders", "names") or _MASKED.search(display):
        return "placeholder"
    fields = [part.casefold() for part in (parts.given, parts.family) if part]
    if _are_no_names(words) or _are_no_names(fields) or is_placeholder_word(display) or is_test_word(display):
        return "placeholder"
    bare = lower.replace(" ", "")
    if is_repeated(bare) or any(is_repeated(word, 4) for word in words):
        return "placeholder"
    if all(is_keyboard_mash(word) for word in words) or is_keyboard_mash(bare, least=3):
        return "keyboard mash"
    return None


def _are_no_names(words: list[str]) -> bool:
    return all(word in word_set("placeholders", "name_words") or is_test_word(word) for word in words)
