"""Clean any text: one Unicode form, simplified characters, single spaces. Not here: names, addresses."""

import re
import unicodedata
from functools import lru_cache

from crm_quality.standardise.placeholder import is_placeholder_word

# Ideographs of the basic block and extension A, which hold every character of a modern name.
HANZI = "\u3400-\u4dbf\u4e00-\u9fff"
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
            # Simplification may yield a compatibility character; normalising again keeps the result stable.
            text = unicodedata.normalize("NFKC", _simplifier().convert(text))
    text = _INVISIBLE.sub("", text)
    return unicodedata.normalize("NFKC", _SPACES.sub(" ", text).strip())


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


def _is_of_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def standardise_text(value: str | None) -> str | None:
    """The text of a street, city, region, industry ... as `clean` gives it; None for a placeholder."""
    text = clean(value)
    return None if not text or is_placeholder_word(text) else text
