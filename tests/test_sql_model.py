"""From a model's file: its description, column notes, what it reads, its lineage, and that Spark could run it."""

import duckdb
import pytest
import sqlglot

from crm_quality.errors import CrmQualityError
from crm_quality.sql_model import SqlModel, column_lineage, load_models, tables_read

FILE = """\
-- One row per customer with an order.
-- Only the living.
-- customer_id   minted once
-- total         sum of their orders
with paid as (select customer_id, amount from core.sales_order where amount > 0)
select c.customer_id, sum(p.amount) as total
from golden.customer as c
join paid as p using (customer_id)
cross join meta.current_run
group by c.customer_id
"""


def model(sql: str = FILE) -> SqlModel:
    return SqlModel("marts", "total", sql)


def test_description_and_column_notes_are_read_from_the_leading_comment():
    assert model().description == "One row per customer with an order.\nOnly the living."
    assert model().column_notes == {"customer_id": "minted once", "total": "sum of their orders"}


def test_dependencies_are_read_from_the_query_without_ctes_and_the_runs_own_notes():
    assert model().reads == [("core", "sales_order"), ("golden", "customer")]
    assert tables_read("select * from a.b where x in (select y from c.d)") == [("a", "b"), ("c", "d")]


def test_lineage_goes_through_ctes_and_joins():
    schema = {
        "core": {"sales_order": {"customer_id": "varchar", "amount": "double"}},
        "golden": {"customer": {"customer_id": "varchar"}},
        "meta": {"current_run": {"run_id": "varchar"}},
    }
    lineage = column_lineage(model(), schema)
    assert lineage["total"] == [("core", "sales_order", "amount")]
    assert ("golden", "customer", "customer_id") in lineage["customer_id"]


def test_the_table_carries_the_comments_of_its_file():
    con = duckdb.connect()
    model("-- Ones.\n-- one   the one\nselect 1 as one").build(con)
    assert con.sql("select comment from duckdb_tables()").fetchone() == ("Ones.",)
    assert con.sql("select comment from duckdb_columns() where table_name = 'total'").fetchone() == ("the one",)


def test_a_file_that_is_not_one_select_or_leaves_out_a_schema_is_refused_by_name():
    with pytest.raises(CrmQualityError, match=r"marts/total\.sql: expected exactly one SELECT"):
        _ = model("drop table x").query
    with pytest.raises(CrmQualityError, match=r"marts/total\.sql: write schema\.table, not orders"):
        _ = model("select * from orders").reads


@pytest.mark.parametrize("shipped", load_models(), ids=lambda m: m.name)
def test_every_shipped_model_is_described_parses_and_transpiles_to_spark(shipped):
    assert shipped.description
    assert shipped.reads
    sqlglot.transpile(shipped.sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
