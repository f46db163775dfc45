"""Clean any text: one Unicode form, simplified characters, single spaces. Not here: names, addresses."""

import re
import unicodedata
from functools import lru_cache

from anyascii import anyascii

from crm_quality.standardise.placeholder import is_placeholder_word

# Ideographs of the basic block and extension A, which hold every character of a modern name, and the mark that repeats one.
HANZI = "\u3005\u3400-\u4dbf\u4e00-\u9fff"
_HANZI = re.compile(f"[{HANZI}]")
# Kana show that the characters are Japanese, which simplification would misspell.
_KANA = re.compile("[\u3041-\u30ff]")
_ONLY_HANZI = re.compile(f"[{HANZI}]+")
# Control characters, zero-width marks, soft hyphens, byte-order marks: no reader sees them.
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_SPACES = re.compile(r"\s+")
# Letters that Unicode does not decompose into a Latin letter and a mark.
_LETTERS = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "ł": "l",
        "ħ": "h",
        "ı": "i",
        "ŧ": "t",
    }
)
_APOSTROPHES = re.compile("['’‘`´ʼʻ′]")
_NOT_WORD = re.compile(r"[\W_]+")


@lru_cache(maxsize=1)
def _simplifier():  # type: ignore[no-untyped-def]
    """OpenCC's traditional-to-simplified converter; loaded late, because its tables take a moment."""
    import opencc

    return opencc.OpenCC("t2s")


def has_hanzi(text: str) -> bool:
    """Whether the text holds a Chinese character."""
    return _HANZI.search(text) is not None


def is_hanzi(text: str) -> bool:
    """Whether the text is nothing but Chinese characters."""
    return _ONLY_HANZI.fullmatch(text) is not None


def clean(text: str | None) -> str:
    """NFKC, simplified characters, no invisible characters, single spaces, trimmed; '' for nothing.

    Applying it twice changes nothing more.
    """
    if not text:
        return ""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        if has_hanzi(text) and not _KANA.search(text):
            text = _simplifier().convert(text)
    return _tidied(text)


def _tidied(text: str) -> str:
    # Simplification may yield a compatibility character; normalising again keeps the result stable.
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return unicodedata.normalize("NFKC", _SPACES.sub(" ", text).strip())


def as_written(part: str | None, *texts: str | None) -> str | None:
    """The characters of `part`, some of a cleaned text, as the first of the texts that holds them wrote them.

    None where that is no other way: Japan, Taiwan, Hong Kong and Macao write what `clean` simplifies.
    """
    if not part or not has_hanzi(part):
        return None
    for text in texts:
        cleaned, written = clean(text), _tidied(text or "")
        place = cleaned.find(part)
        # Simplification replaces character by character.
        if place >= 0 and len(cleaned) == len(written):
            found = written[place : place + len(part)]
            return found if found != part else None
    return None


def fold(text: str) -> str:
    """Lower-case words without accents, apostrophes or punctuation, separated by single spaces.

    Latin text becomes ASCII; other scripts keep their letters, without accents. The vowels that Indian and Thai
    scripts write as marks are no accents, and part no words.
    """
    text = _APOSTROPHES.sub("", text.casefold())
    if not text.isascii():
        text = text.translate(_LETTERS)
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if not unicodedata.combining(char))
        if not text.isascii():
            # Korean syllables, which the decomposition took apart, are put together again.
            text = unicodedata.normalize("NFC", text)
            return " ".join("".join(char if _is_of_word(char) else " " for char in text).split())
    return _NOT_WORD.sub(" ", text).strip()


def romanise(text: str) -> str:
    """`fold`, with the letters of other scripts in Latin ones: Иван is ivan, Γιώργος giorgos, 김 gim.

    Only what stands in the text is written: Arabic and Hebrew keep to their consonants.
    """
    folded = fold(text)
    if folded.isascii():
        return folded
    return fold(anyascii(folded))


def _is_of_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def standardise_text(value: str | None) -> str | None:
    """The text of a street, city, region, industry ... as `clean` gives it; None for a placeholder."""
    text = clean(value)
    return None if not text or is_placeholder_word(text) else text
