"""A real CRM and ERP extract as a project of YAML files only, from the files as they come to a published database."""

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.end_to_end.conftest import Ran, run

CRM = """\
kind: crm
priority: 10
path: source_crm
format: {dates: ["%Y-%m-%d", "%Y%m%d"]}
objects:
  cust_info:
    files: cust_info.csv
    maps:
      party:
        columns:
          source_id: cst_id
          party_type: {constant: person}
          account_number: cst_key
          given_name: cst_firstname
          family_name: cst_lastname
          gender: {column: cst_gndr, values: {M: male, F: female}}
          created_at: cst_create_date
  prd_info:
    files: prd_info.csv
    maps:
      product:
        columns:
          source_id: {column: prd_key, remove: "^.{6}"}
          category: {column: prd_key, extract: "^.{5}"}
          name: prd_nm
          cost: prd_cost
          valid_from: prd_start_dt
          valid_to: prd_end_dt
  sales_details:
    files: sales_details.csv
    maps:
      sales_order:
        repeats: true
        columns:
          source_id: sls_ord_num
          party_source_id: sls_cust_id
          party_source_object: {constant: cust_info}
          ordered_on: sls_order_dt
          due_on: sls_due_dt
          currency: {constant: USD}
      order_line:
        columns:
          source_id: {columns: [sls_ord_num, sls_prd_key], join: "/"}
          order_source_id: sls_ord_num
          product_source_id: sls_prd_key
          quantity: sls_quantity
          unit_price: sls_price
          amount: sls_sales
          currency: {constant: USD}
          ordered_on: sls_order_dt
          shipped_on: sls_ship_dt
          due_on: sls_due_dt
"""
ERP = """\
kind: erp
priority: 20
path: source_erp
objects:
  cust_az12:
    files: CUST_AZ12.csv
    maps:
      party:
        columns:
          source_id: CID
          party_type: {constant: person}
          account_number: {column: CID, remove: "^NAS"}
          birth_date: BDATE
          gender: {column: GEN, values: {Male: male, M: male, Female: female, F: female}}
  loc_a101:
    files: LOC_A101.csv
    maps:
      party:
        columns:
          source_id: CID
          party_type: {constant: person}
          account_number: {column: CID, remove: "-"}
          country: CNTRY
"""


@pytest.fixture(scope="module")
def seller(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("seller")
    for name in ("source_crm", "source_erp"):
        shutil.copytree(real_data / "baraa_crm_erp" / name, folder / name)
    (folder / "crm_quality.yaml").write_text("name: bicycle seller\ndefault_country: US\n")
    (folder / "sources").mkdir()
    (folder / "sources" / "crm.yaml").write_text(CRM)
    (folder / "sources" / "erp.yaml").write_text(ERP)
    return run(folder)


@pytest.fixture
def con(seller: Ran) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(seller.project.golden), read_only=True)


def failing(con: duckdb.DuckDBPyConnection, check: str) -> set[tuple[str, str]]:
    rows = con.execute("select source_object, source_id from quality.failure where check_id = ?", [check])
    return set(rows.fetchall())


def test_it_is_published(seller):
    assert seller.outcome.problems == []
    assert seller.outcome.published


def test_crm_and_erp_records_of_the_same_customer_have_one_id_and_nobody_else_has_it(con):
    keys = "regexp_replace(replace(party.account_number, '-', ''), '^NAS', '')"
    assert con.sql(
        f"""
        select count(distinct customer_id), count(distinct key) from (
            select xref.customer_id, {keys} as key from golden.customer_xref as xref
            join core.party as party using (source_system, source_object, source_id))
        """
    ).fetchone() == (18484, 18484)
    assert con.sql("select distinct record_count from golden.customer").fetchall() == [(3,)]
    assert con.sql("select count(distinct (customer_id, source_object)) from golden.customer_xref").fetchone() == (
        55452,
    )


def test_birth_date_and_country_of_the_erp_reach_the_customer_with_lineage(con):
    row = con.sql(
        """
        select customer.given_name, customer.family_name, customer.birth_date::varchar, customer.country
        from golden.customer as customer join golden.customer_xref as xref using (customer_id)
        where xref.source_object = 'cust_info' and xref.source_id = '11000'
        """
    ).fetchone()
    assert row == ("Jon", "Yang", "1971-10-06", "AU")
    origin = con.sql(
        """
        select field, lineage.source_object, lineage.source_id from golden.customer_lineage as lineage
        join golden.customer_xref as xref using (customer_id)
        where xref.source_object = 'cust_info' and xref.source_id = '11000' and field in ('birth_date', 'country')
        order by field
        """
    ).fetchall()
    assert origin == [("birth_date", "cust_az12", "NASAW00011000"), ("country", "loc_a101", "AW-00011000")]


def test_no_line_is_unaccounted_for(seller, con):
    with duckdb.connect(str(seller.project.warehouse), read_only=True) as warehouse:
        lines = warehouse.sql(
            "select source_object, lines - 1, records + rejected, unaccounted from meta.loaded_file order by all"
        ).fetchall()
    assert lines == [
        ("cust_az12", 18484, 18484, 0),
        ("cust_info", 18494, 18494, 0),
        ("loc_a101", 18484, 18484, 0),
        ("prd_info", 397, 397, 0),
        ("sales_details", 60398, 60398, 0),
    ]
    accepted = con.sql("select count(*) from core.party where source_object = 'cust_info'").fetchone()
    kept_out = con.sql("select count(*) from quality.quarantine where source_object = 'cust_info'").fetchone()
    assert (accepted, kept_out) == ((18484,), (10,))


def test_lines_without_an_id_and_older_lines_of_the_same_id_are_in_quarantine_with_their_place(con):
    rows = con.sql(
        "select line, source_id, reason from quality.quarantine where source_object = 'cust_info' order by line"
    ).fetchall()
    assert [row[1] for row in rows if row[2] != "no source id"] == [
        "29433", "29449", "29466", "29466", "29473", "29483",
    ]  # fmt: skip
    assert sum(row[2] == "no source id" for row in rows) == 4
    kept = con.sql("select given_name, family_name from core.party where source_id = '29466'").fetchone()
    assert kept == ("Lance", "Jimenez")


def test_the_known_dirt_is_found_by_checks_that_name_the_rows(real_data, con):
    files = real_data / "baraa_crm_erp"
    sales = f"read_csv('{files}/source_crm/sales_details.csv', all_varchar = true)"
    key = "sls_ord_num || '/' || sls_prd_key"
    unreadable = duckdb.sql(f"select {key} from {sales} where length(sls_order_dt) <> 8").fetchall()
    assert failing(con, "core_order_line__values_readable") == {("sales_details", row[0]) for row in unreadable}

    wrong = duckdb.sql(
        f"select {key} from {sales} where sls_sales::int <> sls_quantity::int * sls_price::int"
    ).fetchall()
    assert failing(con, "core_order_line__amount_is_quantity_times_price") == {("sales_details", r[0]) for r in wrong}

    padded = duckdb.sql(
        f"select distinct cst_id from read_csv('{files}/source_crm/cust_info.csv', all_varchar = true) "
        "where cst_firstname <> trim(cst_firstname) or cst_lastname <> trim(cst_lastname)"
    ).fetchall()
    assert failing(con, "core_party__name_not_padded") == {("cust_info", row[0]) for row in padded}
    assert len(padded) == 29

    born_later = duckdb.sql(
        f"select cid from read_csv('{files}/source_erp/CUST_AZ12.csv', all_varchar = true) where bdate::date > now()"
    ).fetchall()
    assert failing(con, "core_party__birth_date_in_past") == {("cust_az12", row[0]) for row in born_later}

    # codes where most lines of the country are written in words
    rare = duckdb.sql(
        f"select cid from read_csv('{files}/source_erp/LOC_A101.csv', all_varchar = true) where trim(cntry) in ('DE', 'US', 'USA')"
    ).fetchall()
    assert failing(con, "core_party__country_written_alike") == {("loc_a101", row[0]) for row in rare}


def test_codes_and_words_for_one_country_become_one_country(con):
    countries = {country for (country,) in con.sql("select distinct country from golden.customer").fetchall()}
    assert countries == {"AU", "US", "GB", "FR", "CA", "DE", None}
