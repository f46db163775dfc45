"""The words that names, firms and addresses are made of. Not here: choosing among them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from crm_quality.sample.columns import Text, text

COUNTRIES = ("CN", "US", "GB", "DE", "FR", "ES", "JP")
COUNTRY_SHARES = (0.70, 0.09, 0.05, 0.07, 0.04, 0.03, 0.02)
CURRENCY = text(["CNY", "USD", "GBP", "EUR", "EUR", "EUR", "JPY"])
# How much one CNY is in the currency above, rounded: prices are set by hand, not by the day's rate.
RATE = (1.0, 0.14, 0.11, 0.13, 0.13, 0.13, 20.0)
DIAL_CODE = text(["86", "1", "44", "49", "33", "34", "81"])
TRUNK = text(["0", "", "0", "0", "0", "", "0"])

_FOLDER = Path(__file__).parent / "vocabulary"


@cache
def words(name: str) -> dict[str, Any]:
    """One vocabulary file."""
    content: dict[str, Any] = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


@dataclass(frozen=True)
class Signs:
    """Chinese characters and their pinyin, side by side."""

    hanzi: Text
    pinyin: Text


@cache
def signs(key: str) -> Signs:
    """A list of characters of chinese.yaml."""
    pairs = [pair.split("/") for pair in words("chinese")[key].split()]
    return Signs(text([pair[0] for pair in pairs]), text([pair[1] for pair in pairs]))


@cache
def latin_names(culture: str, key: str) -> Text:
    """Given names (`male`, `female`) or family names of one culture, most frequent first."""
    entry = words("names")[culture]
    if key != "family":
        return text(entry[key].split())
    tail = [a + b for a in entry["tail_first"].split() for b in entry["tail_second"].split()]
    # The rare names come in a fixed but unalphabetical order, as in life.
    return text(entry["family"].split() + sorted(tail, key=hash_of))


def hash_of(name: str) -> int:
    """A number that depends on nothing but the text (Python's own hash changes with every start)."""
    number = 0
    for character in name:
        number = (number * 131 + ord(character)) % 1_000_003
    return number


@cache
def nicknames() -> dict[str, str]:
    """Short forms by given name."""
    return dict(pair.split("/") for pair in words("names")["nicknames"].split())


@dataclass(frozen=True)
class Cities:
    """The cities of one country; for those abroad Chinese and Latin names are the same."""

    name_local: Text
    name_latin: Text
    region_local: Text
    region_latin: Text
    postal: Text
    dial: Text
    dial_digits: Text
    resident_area: Text


@cache
def cities(country: str) -> Cities:
    """The cities of a country, largest first."""
    rows = words("places")[country]["cities"]
    if country != "CN":
        rows = [[row[0], row[0], row[1], row[1], *row[2:], ""] for row in rows]
    return Cities(*(text(list(column)) for column in zip(*rows, strict=True)))


@cache
def streets(country: str) -> tuple[Text, Text]:
    """Street names of a country, as written there and in Latin letters."""
    rows = [row.strip().split("/") for row in words("places")[country]["streets"].split(",")]
    return text([row[0] for row in rows]), text([row[-1] for row in rows])


@cache
def mail_domains(country: str) -> Text:
    """Free mail domains of a country, most frequent first."""
    return text(words("places")[country]["mail"].split())
