"""Spell Chinese addresses and places in Latin letters, so that they meet their English versions. Does not belong here: names."""

from __future__ import annotations

import re
from functools import lru_cache

import duckdb

from crm_quality.standardise.pinyin import syllables

# What counts or numbers a part of an address; English versions say "No." or "Room", or nothing.
_COUNTERS = re.compile(r"^(?:号楼|号院|号|室|栋|楼|层|单元|座|幢|弄|房)+")
_STREETS = {"大道": "avenue", "大街": "street", "路": "road", "街": "street", "巷": "lane", "道": "road"}
_STREET = re.compile("(.+?)(" + "|".join(_STREETS) + ")|(.+)")
_PART = re.compile(r"[a-z0-9]+|[一-鿿]+")
_PLACE_WORDS = re.compile(r"(?<=[一-鿿]{2})(?:特别行政区|自治区|市|省|县)$")


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


def build_latin(con: duckdb.DuckDBPyConnection, feature_table: str, schema: str) -> None:
    """Create {schema}.latin_address (text, latin) and {schema}.latin_place for all texts with Chinese characters."""
    import pyarrow as pa

    for column, spell in (("address", latin_address), ("city", latin_place)):
        rows = con.execute(
            f"select distinct {column} from {feature_table} where regexp_matches({column}, '[一-鿿]') order by 1"
        ).fetchall()
        texts = [str(row[0]) for row in rows]
        spelt = pa.table({"text": pa.array(texts, pa.string()), "latin": pa.array(map(spell, texts), pa.string())})
        con.register("latin_in", spelt)
        target = "latin_place" if column == "city" else "latin_address"
        con.execute(f"create or replace table {schema}.{target} as select * from latin_in where latin <> ''")
        con.unregister("latin_in")
