"""Recognise texts that stand for nothing: n/a, 测试, 12345678, asdf. Not here: judging a customer by them."""

import re
from itertools import pairwise

from crm_quality.standardise.words import word_set

_NOT_MEANT = re.compile(r"[\W_]+")
_TRAILING_NUMBER = re.compile(r"[\d ]+$")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_VOWELS = frozenset("aeiouy")


def is_placeholder_word(text: str) -> bool:
    """Whether the whole text says "nothing here", in one of the languages of the word list.

    Case, punctuation and spaces do not count; a text without a letter or digit is one, too.
    """
    lower = text.casefold().strip()
    if lower in word_set("placeholders", "marks"):
        return True
    return _NOT_MEANT.sub("", lower) in word_set("placeholders", "nothing") or not _NOT_MEANT.sub("", lower)


def is_test_word(text: str) -> bool:
    """Whether the text is a word for test data, with or without a number behind it: test, 测试2, dummy."""
    bare = _TRAILING_NUMBER.sub("", _NOT_MEANT.sub("", text.casefold()))
    return bare in word_set("placeholders", "tests")


def is_repeated(text: str, least: int = 3) -> bool:
    """Whether the text is one character over and over, at least `least` times: xxx, 0000."""
    return len(text) >= least and text == text[0] * len(text)


def is_dummy_number(digits: str, least: int = 5) -> bool:
    """Whether digits were typed for want of a number: all alike, or counting up or down (with 0 after 9).

    A number shorter than `least` is never judged.
    """
    if len(digits) < least or not (digits.isascii() and digits.isdigit()):
        return False
    steps = {(int(right) - int(left)) % 10 for left, right in pairwise(digits)}
    return len(steps) == 1 and steps <= {0, 1, 9}


def is_keyboard_mash(word: str, least: int = 4) -> bool:
    """Whether a word of at least `least` letters was drummed on the keyboard: asdf, qweqwe, fghj, sdfkjhg.

    Meant to miss rather than to hit a name: Wert, Trew, Ng, Krč and Chrst are names.
    """
    word = word.casefold()
    if len(word) < least or not (word.isascii() and word.isalpha()):
        return False
    if len(word) >= 6 and not _VOWELS.intersection(word):
        return True
    is_pronounceable = bool(_VOWELS.intersection(word))
    if (len(word) >= 5 or not is_pronounceable) and any(word in row or word[::-1] in row for row in _ROWS):
        return True
    return _is_row_starts(word) or _is_repeated_run(word)


def _is_row_starts(word: str) -> bool:
    """Covered by runs of three or more that begin at the left end of a keyboard row: asdf, qweasd."""
    if not word:
        return True
    for row in _ROWS:
        length = next((n for n in range(len(row), 2, -1) if word.startswith(row[:n])), 0)
        if length and _is_row_starts(word[length:]):
            return True
    return False


def _is_repeated_run(word: str) -> bool:
    """Three neighbouring keys over and over: dfgdfg."""
    run = word[:3]
    neighbours = any(run in row or run[::-1] in row for row in _ROWS)
    return neighbours and len(word) >= 6 and len(word) % 3 == 0 and word == run * (len(word) // 3)
