"""What the other canonical objects become in core. Does not belong here: core.party."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import duckdb
import pytest
import sqlglot

from tests.core.conftest import PACKAGE, canonical

Core = Callable[..., list[dict[str, Any]]]

OBJECTS = sorted(canonical())
OTHERS = [name for name in OBJECTS if name != "party"]


def test_there_is_one_model_for_each_canonical_object() -> None:
    assert sorted(file.stem for file in (PACKAGE / "core").glob("*.sql")) == OBJECTS


@pytest.mark.parametrize("table", OTHERS)
def test_a_model_has_keys_every_canonical_column_and_the_texts_of_typed_ones(
    core: Core, con: duckdb.DuckDBPyConnection, table: str
) -> None:
    core(table)
    columns = [row[0] for row in con.execute(f"describe core.{table}").fetchall()]
    assert columns[:5] == ["source_system", "source_object", "source_id", "extract_date", "row_hash"]
    expected = {name for column, kind in canonical()[table].items() for name in _written(column, kind)}
    assert set(columns) == expected | set(columns[:5])


def _written(column: str, kind: str) -> list[str]:
    return [column, f"{column}_raw"] if kind != "text" or column == "currency" else [column]


@pytest.mark.parametrize("table", OBJECTS)
def test_a_model_is_one_select_that_spark_can_run_too(table: str) -> None:
    sql = (PACKAGE / "core" / f"{table}.sql").read_text(encoding="utf-8")
    (spark,) = sqlglot.transpile(sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
    assert sqlglot.parse_one(spark, read="spark").named_selects == sqlglot.parse_one(sql, read="duckdb").named_selects


@pytest.mark.parametrize("table", OBJECTS)
def test_every_column_of_a_model_is_described_and_nothing_else(
    core: Core, con: duckdb.DuckDBPyConnection, table: str
) -> None:
    core(table)
    lines = (PACKAGE / "core" / f"{table}.sql").read_text(encoding="utf-8").splitlines()
    header = lines[: next(i for i, line in enumerate(lines) if not line.startswith("--"))]
    described = [line.removeprefix("-- ").split("  ")[0] for line in header[1:]]
    assert described == [row[0] for row in con.execute(f"describe core.{table}").fetchall()]


@pytest.mark.parametrize("table", OTHERS)
def test_ids_lose_the_spaces_around_them_and_quarantined_lines_stay_out(core: Core, table: str) -> None:
    rows = core(table, {"source_id": " 7 "}, {"source_id": "8", "quarantine_reason": "repeated line"})
    assert [row["source_id"] for row in rows] == ["7"]


def test_references_lose_the_spaces_around_them(core: Core) -> None:
    (row,) = core("order_line", {"order_source_id": " SO1 ", "product_source_id": "  "})
    assert (row["order_source_id"], row["product_source_id"]) == ("SO1", None)


@pytest.mark.parametrize(
    ("came", "currency"),
    [("人民币", "CNY"), (" eur ", "EUR"), ("Taler", "TALER"), ("  ", None), (None, None)],
)
def test_currencies_become_iso_codes_and_unknown_ones_stay_to_be_seen(
    core: Core, came: str | None, currency: str | None
) -> None:
    (row,) = core("invoice", {"currency": came, "amount": Decimal("12.5"), "amount_raw": "12,50"})
    assert (row["currency"], row["currency_raw"]) == (currency, came)
    assert (row["amount"], row["amount_raw"]) == (Decimal("12.5"), "12,50")


def test_a_cancelled_order_stays_and_an_order_that_says_nothing_is_not_cancelled(core: Core) -> None:
    cancelled, unsaid = core("sales_order", {"is_cancelled": True}, {})
    assert (cancelled["is_cancelled"], unsaid["is_cancelled"]) == (True, False)


def test_closed_and_won_stay_unknown_where_the_source_does_not_say(core: Core) -> None:
    (row,) = core("opportunity", {})
    assert (row["is_closed"], row["is_won"], row["is_deleted"]) == (None, None, False)


def test_texts_lose_surplus_white_space(core: Core) -> None:
    (row,) = core("product", {"name": " HL  Road Frame -\tBlack ", "category": "   "})
    assert (row["name"], row["category"]) == ("HL Road Frame - Black", None)
