"""Addresses and places as they are compared, kept between runs. Does not belong here: how one is written."""

from __future__ import annotations

import duckdb

from crm_quality.standardise.address import comparable_address, latin_place
from crm_quality.standardise.lookups import Lookup, keep_lookup


def _address(value: str) -> tuple[str | None]:
    return (comparable_address(value),)


def _place(value: str) -> tuple[str | None]:
    return (latin_place(value) or None,)


def _values(column: str, condition: str) -> str:
    return " union ".join(
        f"select distinct {column} from identity.{kind}_feature where {condition}"
        for kind in ("person", "organisation")
    )


ADDRESSES = Lookup(
    "address", ("value",), {"comparable": "VARCHAR"}, _values("address", "address is not null"), _address
)
PLACES = Lookup(
    "place",
    ("value",),
    {"latin": "VARCHAR"},
    " union ".join(_values(column, f"regexp_matches({column}, '[一-鿿]')") for column in ("city", "region")),
    _place,
)


def build_latin(con: duckdb.DuckDBPyConnection) -> None:
    """(Re)create standard.address and standard.place for the values of the feature tables; only new ones are computed."""
    for lookup in (ADDRESSES, PLACES):
        keep_lookup(con, lookup)
