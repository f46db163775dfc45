"""Read Chinese characters as pinyin. Belongs here: syllables without tones. Does not: splitting names."""

from functools import cache, lru_cache

from crm_quality.standardise.words import load

_LONGEST_PHRASE = 4
# ü as in passports (吕 = LYU), the spelling that no other syllable shares.
_UMLAUT = {"lv": "lyu", "nv": "nyu", "lve": "lyue", "nve": "nyue"}


@cache
def _syllable(char: str) -> str | None:
    """The most frequent reading of one character; None when it has none."""
    from pypinyin import Style, lazy_pinyin

    readings = lazy_pinyin(char, style=Style.NORMAL, errors="ignore")
    return _UMLAUT.get(readings[0], readings[0]) if readings and readings[0] else None


@lru_cache(maxsize=1)
def _phrases() -> dict[str, list[str]]:
    """Words of two to four characters of which one is not read the usual way (银行 yin hang).

    pypinyin's own segmentation costs some 200 us a name; a dictionary of the exceptions costs 3 us and
    gives the same reading for all but a few idioms.
    """
    from pypinyin.constants import PHRASES_DICT
    from pypinyin.contrib.tone_convert import to_normal

    normal = lru_cache(maxsize=None)(to_normal)
    found = {}
    for phrase, readings in PHRASES_DICT.items():
        if 2 <= len(phrase) <= _LONGEST_PHRASE and len(readings) == len(phrase):
            syllables = [_UMLAUT.get(s, s) for s in (normal(reading[0]) for reading in readings)]
            if any(syllable != _syllable(char) for char, syllable in zip(phrase, syllables, strict=True)):
                found[phrase] = syllables
    return found


def syllables(text: str) -> list[str]:
    """The syllables of a text, tone marks dropped; what is no Chinese character is left out."""
    phrases = _phrases()
    result: list[str] = []
    position = 0
    while position < len(text):
        for length in range(min(_LONGEST_PHRASE, len(text) - position), 1, -1):
            known = phrases.get(text[position : position + length])
            if known:
                result.extend(known)
                position += length
                break
        else:
            syllable = _syllable(text[position])
            if syllable:
                result.append(syllable)
            position += 1
    return result


def surname_syllables(surname: str) -> list[str]:
    """As `syllables`, with the readings that characters have as surnames: 单 shan, 曾 zeng, 万俟 mo qi."""
    reading = load("names")["surname_readings"].get(surname)
    return reading.split() if reading else syllables(surname)


@lru_cache(maxsize=1)
def all_syllables() -> frozenset[str]:
    """Every syllable that pinyin knows, to tell Chinese names in Latin letters from others."""
    from pypinyin.constants import PINYIN_DICT
    from pypinyin.contrib.tone_convert import to_normal

    found = set()
    for code in range(0x4E00, 0x9FA6):
        for reading in PINYIN_DICT.get(code, "").split(","):
            plain = to_normal(reading)
            if plain.isascii() and len(plain) > 1 and set(plain) & set("aeiouv"):
                found.add(_UMLAUT.get(plain, plain))
    # Without a, e and o, of which far too many Western names could be made (Lee, Mae, Ana).
    return frozenset(found)
