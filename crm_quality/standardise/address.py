"""Write addresses and places in one way, Chinese ones in Latin letters, so that versions of one meet. Does not belong here: names."""

from __future__ import annotations

import re
from functools import lru_cache

from crm_quality.standardise.pinyin import syllables

# What counts or numbers a part of an address; English versions say "No." or "Room", or nothing.
_COUNTERS = re.compile(r"^(?:号楼|号院|号|室|栋|楼|层|单元|座|幢|弄|房)+")
_STREETS = {"大道": "avenue", "大街": "street", "路": "road", "街": "street", "巷": "lane", "道": "road"}
_STREET = re.compile("(.+?)(" + "|".join(_STREETS) + ")|(.+)")
_PART = re.compile(r"[a-z0-9]+|[一-鿿]+")
_HANZI = re.compile("[一-鿿]")
# What only announces a number, and the number itself; ASCII, so that an accent ends a word as it does in DuckDB.
_NUMBERING = re.compile(r"\b(?:[0-9]+|no|nr|room|rm|apt|suite|unit)\b", re.ASCII)
_NUMBER = re.compile("[0-9]+")
_PLACE_WORDS = re.compile(r"(?<=[一-鿿]{2})(?:特别行政区|自治区|市|省|县)$")


def comparable_address(address: str) -> str | None:
    """Words first, then numbers, without the words that only announce a number: one order for all languages.

    `address` is in lower case, its words separated by single spaces.
    """
    if _HANZI.search(address) and (latin := latin_address(address)):
        return latin
    words = _NUMBERING.sub(" ", address).split()
    return " ".join([*words, *_NUMBER.findall(address)]) or None


def latin_address(address: str) -> str:
    """建设路36号911室 -> jianshe road 36 911: words first, then numbers."""
    words: list[str] = []
    numbers: list[str] = []
    for part in _PART.findall(address.lower()):
        if part.isdigit():
            numbers.append(part)
        elif part.isascii():
            words.append(part)
        else:
            words.extend(_latin_words(_COUNTERS.sub("", part)))
    return " ".join(words + numbers)


@lru_cache(maxsize=1 << 16)
def _latin_words(text: str) -> tuple[str, ...]:
    words = []
    for name, street, rest in _STREET.findall(text):
        words.append("".join(syllables(name or rest)))
        if street:
            words.append(_STREETS[street])
    return tuple(word for word in words if word)


def latin_place(place: str) -> str:
    """苏州市 -> suzhou."""
    return "".join(syllables(_PLACE_WORDS.sub("", place)))
