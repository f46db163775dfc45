"""What readers of the database are told about its tables and columns."""

from __future__ import annotations

import duckdb

from crm_quality.comments import add_comments


def comments(con: duckdb.DuckDBPyConnection, table: str) -> tuple[str | None, dict[str, str | None]]:
    ((about,),) = con.execute("select comment from duckdb_tables() where table_name = ?", [table]).fetchall()
    columns = con.execute("select column_name, comment from duckdb_columns() where table_name = ?", [table]).fetchall()
    return about, dict(columns)


def test_a_table_is_told_of_in_its_own_words_or_else_in_those_of_all_tables() -> None:
    con = duckdb.connect()
    con.execute("create schema identity; create table identity.conflict (record_number_l bigint, reason varchar)")
    add_comments(con, "identity.conflict", "Pairs that cannot be one.")
    about, columns = comments(con, "conflict")
    assert about == "Pairs that cannot be one."
    assert columns["reason"] == "what contradicts, in words"
    assert columns["record_number_l"] == "number of the one record in identity.record, the smaller of the two"


def test_what_is_described_already_keeps_its_words() -> None:
    con = duckdb.connect()
    con.execute('create schema raw; create table raw.lead (run_id varchar, "Last ""Name""" varchar)')
    con.execute("comment on table raw.lead is 'as it came'; comment on column raw.lead.run_id is 'of the CRM'")
    add_comments(con, "raw.lead", "another text")
    assert comments(con, "lead") == ("as it came", {"run_id": "of the CRM", 'Last "Name"': None})
