"""Build the `standard.*` lookup tables: distinct values -> standard forms.

Belongs here: what is looked up, and the cache between runs. Does not: how a value is standardised.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from typing import Any
from unicodedata import unidata_version

import duckdb

from crm_quality.standardise.company_name import standardise_company_name
from crm_quality.standardise.country import standardise_country
from crm_quality.standardise.currency import standardise_currency
from crm_quality.standardise.email import standardise_email
from crm_quality.standardise.identifiers import standardise_national_id, standardise_tax_id
from crm_quality.standardise.person_name import standardise_person_name
from crm_quality.standardise.phone import standardise_phone
from crm_quality.standardise.text import as_written, standardise_text
from crm_quality.standardise.website import standardise_website

_log = logging.getLogger(__name__)

# What the results depend on beside this package's own files; a new version of any rebuilds every lookup.
_LIBRARIES = ("anyascii", "phonenumbers", "email-validator", "pypinyin", "opencc", "cleanco", "python-stdnum")
# Starting processes and sending values costs some seconds: less than that and one process is faster.
PARALLEL_FROM = 200_000
_CHUNK = 20_000
_FAILED = "could not be read"

Values = tuple[str | None, ...]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Lookup:
    """One table `standard.<kind>`.

    inputs         columns that hold the value as it came, all VARCHAR
    outputs        columns that hold the standard form: name -> DuckDB type
    distinct       SQL of the distinct inputs, in the order of `inputs`
    standardise    inputs -> outputs, as a function that can be sent to another process
    with_country   the second input is a country that falls back on the default country
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    distinct: str
    standardise: Callable[..., Any]
    with_country: bool = False

    @property
    def table(self) -> str:
        """standard.<kind>"""
        return f"standard.{self.kind}"

    @property
    def columns(self) -> dict[str, str]:
        """All columns with their types, inputs first."""
        return dict.fromkeys(self.inputs, "VARCHAR") | self.outputs


@dataclass(frozen=True)
class LookupCount:
    """How many distinct values a lookup holds, and how many of them had to be computed."""

    values: int
    computed: int


def _accepted(expression: str, table: str = "party") -> str:
    """Rows of a staging table that reach core; only their values need a standard form."""
    return f"select distinct {expression} from staging.{table} where quarantine_reason is null"


def _distinct(columns: Sequence[str], table: str = "party") -> str:
    return " union ".join(f"{_accepted(column, table)} and {column} is not null" for column in columns)


def _with_country(columns: Sequence[str]) -> str:
    return " union ".join(
        f"select distinct party.{column}, country.country from staging.party as party "
        "left join standard.country as country on country.value = party.country "
        f"where party.quarantine_reason is null and party.{column} is not null"
        for column in columns
    )


def _text(value: str) -> Row:
    text = standardise_text(value)
    return text, as_written(text, value)


def _domain_only(value: str) -> Row:
    return (standardise_website(value),)


def _currency_only(value: str) -> Row:
    return (standardise_currency(value),)


# In the order in which they are built: countries first, for they say how a phone number is to be read.
LOOKUPS: dict[str, Lookup] = {
    lookup.kind: lookup
    for lookup in (
        Lookup(
            "country",
            ("value",),
            {"country": "VARCHAR", "problem": "VARCHAR"},
            _distinct(["country"]),
            standardise_country,
        ),
        Lookup(
            "phone",
            ("value", "country"),
            {"e164": "VARCHAR", "kind": "VARCHAR", "problem": "VARCHAR"},
            _with_country(["phone", "mobile"]),
            standardise_phone,
            with_country=True,
        ),
        Lookup(
            "email",
            ("value",),
            {
                "email": "VARCHAR",
                "local_part": "VARCHAR",
                "domain": "VARCHAR",
                "is_free": "BOOLEAN",
                "is_disposable": "BOOLEAN",
                "problem": "VARCHAR",
            },
            _distinct(["email"]),
            standardise_email,
        ),
        Lookup(
            "person_name",
            ("full_name", "given_name", "family_name"),
            {
                "std_full_name": "VARCHAR",
                "std_given_name": "VARCHAR",
                "std_family_name": "VARCHAR",
                "hanzi": "VARCHAR",
                "given_key": "VARCHAR",
                "family_key": "VARCHAR",
                "name_key": "VARCHAR",
                "problem": "VARCHAR",
                "written_full_name": "VARCHAR",
                "written_given_name": "VARCHAR",
                "written_family_name": "VARCHAR",
            },
            "select distinct coalesce(full_name, ''), coalesce(given_name, ''), coalesce(family_name, '') "
            "from staging.party where quarantine_reason is null "
            "and coalesce(full_name, given_name, family_name) is not null",
            standardise_person_name,
        ),
        Lookup(
            "company_name",
            ("value",),
            {
                "company_name": "VARCHAR",
                "core_name": "VARCHAR",
                "core_key": "VARCHAR",
                "legal_form": "VARCHAR",
                "is_branch": "BOOLEAN",
                "problem": "VARCHAR",
                "written_name": "VARCHAR",
            },
            # An organisation that is named in full_name only is a company all the same.
            _distinct(["company_name"])
            + f" union {_accepted('full_name')} and full_name is not null and company_name is null "
            "and lower(trim(party_type)) = 'organisation'",
            standardise_company_name,
        ),
        Lookup(
            "tax_id",
            ("value", "country"),
            {"tax_id": "VARCHAR", "problem": "VARCHAR"},
            # A missing country is not guessed: a number of another country would look wrong.
            _with_country(["tax_id"]),
            standardise_tax_id,
        ),
        Lookup(
            "national_id",
            ("value",),
            {"national_id": "VARCHAR", "birth_date": "DATE", "gender": "VARCHAR", "problem": "VARCHAR"},
            _distinct(["national_id"]),
            standardise_national_id,
        ),
        Lookup(
            "text",
            ("value",),
            {"text": "VARCHAR", "written": "VARCHAR"},
            _distinct(["street", "house_number", "city", "region", "postal_code", "industry"]),
            _text,
        ),
        Lookup("website", ("value",), {"domain": "VARCHAR"}, _distinct(["website"]), _domain_only),
        Lookup(
            "currency",
            ("value",),
            {"currency": "VARCHAR"},
            " union ".join(
                _distinct(["currency"], table)
                for table in ("opportunity", "product", "sales_order", "order_line", "invoice", "payment")
            ),
            _currency_only,
        ),
    )
}


def build_lookups(con: duckdb.DuckDBPyConnection, default_country: str) -> dict[str, LookupCount]:
    """Build every `standard.*` table from the staging tables, in the order of LOOKUPS."""
    return {kind: build_lookup(con, kind, default_country) for kind in LOOKUPS}


def build_lookup(con: duckdb.DuckDBPyConnection, kind: str, default_country: str) -> LookupCount:
    """Build `standard.<kind>` over the distinct values that are in staging now.

    Results of an earlier run are kept as long as code, word lists and libraries are the same; values that are
    gone leave the table. `phone` and `tax_id` need `standard.country` to be built before. `default_country`
    is an ISO 3166 code. Very many new values are computed in several processes, so that a script which calls
    this needs the usual `if __name__ == "__main__":`. Raises KeyError for an unknown kind,
    duckdb.CatalogException where staging is missing.
    """
    return keep_lookup(con, LOOKUPS[kind], default_country)


def keep_lookup(con: duckdb.DuckDBPyConnection, lookup: Lookup, default_country: str = "") -> LookupCount:
    """`build_lookup` for any lookup whose function is in this package."""
    fingerprint = _fingerprint(default_country if lookup.with_country else "")
    con.execute("create schema if not exists standard; create schema if not exists meta")
    con.execute("create table if not exists meta.standardiser_version (kind varchar primary key, version varchar)")
    inputs = ", ".join(lookup.inputs)
    con.execute(f"create or replace temp table lookup_input({inputs}) as {lookup.distinct}")
    _known(con, lookup, fingerprint)
    same = " and ".join(f"known.{name} is not distinct from lookup_input.{name}" for name in lookup.inputs)
    # Sorted, so that the order in which the values were found leaves no trace in the table.
    new = con.execute(
        f"select * from lookup_input where not exists (from lookup_known as known where {same}) order by all"
    ).fetchall()
    standardise = partial(_rows, lookup.standardise, lookup.with_country, default_country, len(lookup.outputs))
    for rows in _computed(standardise, new):
        _insert(con, lookup, rows)
    # The version goes first and comes back last: a run killed in between computes everything again.
    con.execute("delete from meta.standardiser_version where kind = ?", [lookup.kind])
    con.execute(
        f"create or replace table {lookup.table} as select * from lookup_known as known "
        f"where exists (from lookup_input where {same}) order by {inputs}"
    )
    con.execute("insert into meta.standardiser_version values (?, ?)", [lookup.kind, fingerprint])
    count = con.execute(f"select count(*) from {lookup.table}").fetchone()
    con.execute("drop table lookup_known; drop table lookup_input")
    return LookupCount(values=count[0] if count else 0, computed=len(new))


def _known(con: duckdb.DuckDBPyConnection, lookup: Lookup, fingerprint: str) -> None:
    """Fill temp table lookup_known with the results of the last run; with none if they may have changed."""
    columns = ", ".join(f"{name} {type_}" for name, type_ in lookup.columns.items())
    con.execute(f"create or replace temp table lookup_known ({columns})")
    stored = con.execute("select version from meta.standardiser_version where kind = ?", [lookup.kind]).fetchone()
    if stored == (fingerprint,):
        con.execute(f"insert into lookup_known by name from {lookup.table}")


@lru_cache(maxsize=8)
def _fingerprint(setting: str) -> str:
    """What the results depend on: code, word lists, libraries, Unicode, and the setting."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for file in sorted([*folder.glob("*.py"), *folder.glob("data/*.yaml")]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    libraries = [f"{name} {version(name)}" for name in _LIBRARIES]
    digest.update("; ".join([*libraries, unidata_version, setting]).encode())
    return digest.hexdigest()


def _computed(standardise: Callable[[list[Row]], list[Row]], values: list[Row]) -> Iterator[list[Row]]:
    chunks = [values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK)]
    workers = min(cpu_count() or 1, len(chunks))
    if len(values) < PARALLEL_FROM or workers < 2:
        yield from map(standardise, chunks)
        return
    done = 0
    try:
        # Not forked: the run holds an open database and threads, which must not be copied into a child.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for rows in pool.map(standardise, chunks):
                done += 1
                yield rows
    except BrokenProcessPool:
        _log.warning("a worker process died; the rest is standardised in this process, which takes longer")
        yield from map(standardise, chunks[done:])


def _rows(
    standardise: Callable[..., Any], with_country: bool, default_country: str, outputs: int, values: list[Row]
) -> list[Row]:
    """Inputs with their outputs. A value that breaks a standardiser is kept, with a problem, and counted."""
    rows: list[Row] = []
    broken: dict[str, int] = {}
    for value in values:
        arguments = (value[0], value[1] or default_country) if with_country else value
        try:
            found = tuple(standardise(*arguments))
        except Exception as error:  # one value must never stop a night's run; its text must not reach a log
            broken[type(error).__name__] = broken.get(type(error).__name__, 0) + 1
            found = (*(None,) * (outputs - 1), _FAILED if outputs > 1 else None)
        rows.append(value + found)
    for name, count in sorted(broken.items()):
        _log.warning("%s failed on %d values with %s", standardise.__name__, count, name)
    return rows


def _insert(con: duckdb.DuckDBPyConnection, lookup: Lookup, rows: list[Row]) -> None:
    import pyarrow as pa

    kinds = {"VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "DATE": pa.date32()}
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, kinds[type_]) for column, type_ in zip(columns, lookup.columns.values(), strict=True)]
    con.register("lookup_result", pa.table(arrays, names=list(lookup.columns)))
    con.execute("insert into lookup_known by name from lookup_result")
    con.unregister("lookup_result")
