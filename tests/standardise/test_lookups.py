"""The lookup tables: what they hold, and what they keep between runs."""

import logging
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from crm_quality.standardise import lookups
from crm_quality.standardise.lookups import LOOKUPS, LookupCount, build_lookup, build_lookups

PARTY = [
    "full_name",
    "given_name",
    "family_name",
    "company_name",
    "party_type",
    "tax_id",
    "national_id",
    "email",
    "phone",
    "mobile",
    "website",
    "street",
    "house_number",
    "city",
    "region",
    "postal_code",
    "country",
    "industry",
    "quarantine_reason",
]
MONEY = ("opportunity", "product", "sales_order", "order_line", "invoice", "payment")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("create schema staging")
    connection.execute(f"create table staging.party ({', '.join(f'{name} varchar' for name in PARTY)})")
    for table in MONEY:
        connection.execute(f"create table staging.{table} (currency varchar, quarantine_reason varchar)")
    return connection


def stage(con: duckdb.DuckDBPyConnection, **values: str) -> None:
    marks = ", ".join("?" for _ in values)
    con.execute(f"insert into staging.party ({', '.join(values)}) values ({marks})", list(values.values()))


def test_every_lookup_is_built_from_empty_staging_tables(con: duckdb.DuckDBPyConnection) -> None:
    assert build_lookups(con, "CN") == {kind: LookupCount(0, 0) for kind in LOOKUPS}
    for lookup in LOOKUPS.values():
        assert {row[0]: row[1] for row in con.execute(f"describe {lookup.table}").fetchall()} == lookup.columns


def test_each_distinct_value_is_looked_up_once(con: duckdb.DuckDBPyConnection) -> None:
    for _ in range(3):
        stage(con, phone="13812345679", mobile="13812345679", street="上海", city="上海", country="CN")
    counts = build_lookups(con, "CN")
    assert (counts["phone"].values, counts["text"].values, counts["country"].values) == (1, 1, 1)


def test_a_second_run_computes_only_what_is_new_and_drops_what_is_gone(
    con: duckdb.DuckDBPyConnection,
) -> None:
    stage(con, email="a@acme.cn")
    stage(con, email="b@acme.cn")
    build_lookup(con, "email", "CN")
    con.execute("delete from staging.party where email = 'a@acme.cn'")
    stage(con, email="c@acme.cn")
    assert build_lookup(con, "email", "CN") == LookupCount(values=2, computed=1)
    assert con.execute("select value from standard.email order by value").fetchall() == [
        ("b@acme.cn",),
        ("c@acme.cn",),
    ]


def test_a_new_version_of_the_code_computes_everything_again(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(con, email="a@acme.cn")
    build_lookup(con, "email", "CN")
    assert build_lookup(con, "email", "CN").computed == 0
    monkeypatch.setattr(lookups, "_fingerprint", lambda setting: "another")
    assert build_lookup(con, "email", "CN").computed == 1


def test_another_default_country_reads_phone_numbers_again_but_no_texts(
    con: duckdb.DuckDBPyConnection,
) -> None:
    stage(con, phone="089 1234567", city="Bonn")
    build_lookups(con, "CN")
    counts = build_lookups(con, "DE")
    assert (counts["phone"].computed, counts["text"].computed) == (1, 0)
    assert con.execute("select e164, country from standard.phone").fetchall() == [("+49891234567", None)]


def test_values_of_quarantined_lines_are_not_looked_up(con: duckdb.DuckDBPyConnection) -> None:
    stage(con, email="a@acme.cn", quarantine_reason="repeated line")
    assert build_lookup(con, "email", "CN").values == 0


def test_currencies_come_from_every_table_that_has_amounts(con: duckdb.DuckDBPyConnection) -> None:
    for number, table in enumerate(MONEY):
        con.execute(f"insert into staging.{table} values (?, null), ('EUR', null)", [f"X{number}"])
    assert build_lookup(con, "currency", "CN").values == len(MONEY) + 1


def test_a_value_that_breaks_a_standardiser_gets_a_problem_and_stays_out_of_the_log(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(value: str) -> None:
        raise RuntimeError(value)

    stage(con, email="secret@acme.cn")
    monkeypatch.setitem(LOOKUPS, "email", replace(LOOKUPS["email"], standardise=broken))
    with caplog.at_level(logging.WARNING):
        build_lookup(con, "email", "CN")
    assert con.execute("select value, email, problem from standard.email").fetchall() == [
        ("secret@acme.cn", None, "could not be read")
    ]
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_the_order_of_the_rows_plays_no_part(con: duckdb.DuckDBPyConnection) -> None:
    for name in ("c@acme.cn", "a@acme.cn", "b@acme.cn"):
        stage(con, email=name)
    build_lookup(con, "email", "CN")
    first = con.execute("select * from standard.email").fetchall()
    con.execute("create or replace table staging.party as select * from staging.party order by email desc")
    con.execute("drop table standard.email; delete from meta.standardiser_version")
    build_lookup(con, "email", "CN")
    assert con.execute("select * from standard.email").fetchall() == first


def test_many_new_values_are_computed_in_several_processes_with_the_same_result(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    con.execute("insert into staging.party (city) select 'Stadt ' || i from range(50) as numbers(i)")
    monkeypatch.setattr(lookups, "PARALLEL_FROM", 10)
    monkeypatch.setattr(lookups, "_CHUNK", 20)
    monkeypatch.setattr(lookups, "cpu_count", lambda: 2)
    assert build_lookup(con, "text", "CN") == LookupCount(50, 50)
    assert con.execute("select count(*) from standard.text where text = value").fetchone() == (50,)


def test_a_failed_insert_leaves_the_last_table_as_it_was(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(con, email="a@acme.cn")
    build_lookup(con, "email", "CN")
    stage(con, email="b@acme.cn")

    def no_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(lookups, "_insert", no_disk)
    with pytest.raises(OSError, match="no space left"):
        build_lookup(con, "email", "CN")
    assert con.execute("select value from standard.email").fetchall() == [("a@acme.cn",)]
    monkeypatch.undo()
    assert build_lookup(con, "email", "CN") == LookupCount(values=2, computed=1)


class _DyingPool:
    """Stands for a pool whose second worker is killed, as by a machine short of memory."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> "_DyingPool":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, function: Any, chunks: list[Any]) -> Any:
        yield function(chunks[0])
        raise BrokenProcessPool


def test_the_work_of_a_worker_that_died_is_done_all_the_same(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    con.execute("insert into staging.party (city) select 'Stadt ' || i from range(50) as numbers(i)")
    monkeypatch.setattr(lookups, "PARALLEL_FROM", 10)
    monkeypatch.setattr(lookups, "_CHUNK", 20)
    monkeypatch.setattr(lookups, "cpu_count", lambda: 2)
    monkeypatch.setattr(lookups, "ProcessPoolExecutor", _DyingPool)
    assert build_lookup(con, "text", "CN") == LookupCount(50, 50)
