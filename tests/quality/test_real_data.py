"""The dirt of real extracts, found row by row by the shipped suites. Does not belong here: identity, published files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from crm_quality.ingest.raw import load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import open_project
from crm_quality.quality.run import run_suite
from crm_quality.quality.suites import project_suites
from crm_quality.run import begin
from crm_quality.sources.layout import canonical, load_sources
from crm_quality.sql_model import load_models
from crm_quality.standardise.lookups import build_lookups


@dataclass(frozen=True)
class Checked:
    """A warehouse whose core tables have been checked."""

    con: duckdb.DuckDBPyConnection

    def failing(self, check_id: str) -> set[str]:
        """The ids of the failing records; the check must have been run."""
        result = self.con.execute("select success, error from quality.check_result where check_id = ?", [check_id])
        row = result.fetchone()
        assert row is not None and row[0] is not None and row[1] is None, (check_id, row)
        rows = self.con.execute("select source_id from quality.failure where check_id = ?", [check_id]).fetchall()
        return {source_id for (source_id,) in rows}


def check(folder: Path, data: Path, settings: str, sources: dict[str, str], tables: Iterable[str]) -> Checked:
    """Load a folder of extracts as the YAML says, build core, and run the suites of some tables."""
    (folder / "sources").mkdir()
    (folder / "in").symlink_to(data)
    (folder / "crm_quality.yaml").write_text(settings, encoding="utf-8")
    for name, text in sources.items():
        (folder / "sources" / f"{name}.yaml").write_text(text, encoding="utf-8")
    project = open_project(folder)
    loaded = load_sources(project)
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    run = begin(con, project, loaded, "run", None)
    for source in loaded:
        for name in source.objects:
            report = load_object(con, project, source, name, run.extract_date)
            assert list(report.problems) == []
    for name in canonical():
        build_staging(con, loaded, name, run.extract_date)
    build_lookups(con, project.settings.default_country)
    for model in load_models():
        if model.schema == "core" or model.name == "quality.quarantine":
            model.build(con)
    suites = project_suites(project)
    for table in tables:
        run_suite(con, suites[table], run.run_id, run.extract_date)
    return Checked(con)


MAVEN = """\
kind: crm
path: in
objects:
  account:
    files: accounts.csv
    maps:
      party:
        columns:
          source_id: account
          party_type: {constant: organisation}
          company_name: account
          industry: sector
          country: office_location
          parent_source_id: subsidiary_of
  product:
    files: products.csv
    maps: {product: {columns: {source_id: product, name: product, category: series, list_price: sales_price}}}
  deal:
    files: sales_pipeline.csv
    maps:
      opportunity:
        columns:
          source_id: opportunity_id
          party_source_id: account
          stage: deal_stage
          amount: close_value
          is_closed: {column: deal_stage, values: {Won: "1", Lost: "1", "*": "0"}}
          is_won: {column: deal_stage, values: {Won: "1", "*": "0"}}
          close_date: close_date
          created_at: engage_date
          owner: sales_agent
      order_line:
        where: {deal_stage: Won}
        columns: {source_id: opportunity_id, product_source_id: product, amount: close_value}
"""
# The company's own list of industries is all that its rules need to be told.
MAVEN_SETTINGS = """\
name: maven
default_country: US
checks:
  core_party__industry_known:
    value_set: [employment, services, entertainment, telecommunications, software, marketing, finance, technology, medical, retail]
"""


def test_maven_crm(real_data: Path, tmp_path: Path) -> None:
    data = real_data / "maven_crm"
    tables = ("core.party", "core.opportunity", "core.order_line")
    found = check(tmp_path, data, MAVEN_SETTINGS, {"maven": MAVEN}, tables)
    deals = f"read_csv('{data}/sales_pipeline.csv', all_varchar = true)"
    products = f"read_csv('{data}/products.csv', all_varchar = true)"

    without_account = ids(f"select opportunity_id from {deals} where account is null")
    assert len(without_account) == 1425
    assert found.failing("core_opportunity__party_present") == without_account

    unknown = f"deal_stage = 'Won' and product not in (select product from {products})"
    unjoined = ids(f"select opportunity_id from {deals} where {unknown}")
    assert len(unjoined) > 500
    assert found.failing("core_order_line__product_exists") == unjoined

    misspelt = ids(f"select account from read_csv('{data}/accounts.csv') where sector = 'technolgy'")
    assert len(misspelt) == 12
    assert found.failing("core_party__industry_known") == misspelt


RETAIL = """\
kind: erp
path: in
format: {timestamps: ["%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%y %H:%M"], dates: ["%Y-%m-%d", "%m/%d/%Y %H:%M", "%m/%d/%y %H:%M"]}
objects:
  line:
    files: online_retail.parquet
    maps:
      party:
        repeats: true
        where: {CustomerID: ".+"}
        columns: {source_id: CustomerID, country: Country}
      sales_order:
        repeats: true
        columns: {source_id: InvoiceNo, party_source_id: CustomerID, ordered_on: InvoiceDate, currency: {constant: GBP}}
      order_line:
        columns:
          source_id: {columns: [InvoiceNo, StockCode, Quantity, UnitPrice], join: "/"}
          order_source_id: InvoiceNo
          product_source_id: StockCode
          quantity: Quantity
          unit_price: UnitPrice
          amount: {formula: "{Quantity} * {UnitPrice}"}
"""


def test_online_retail(real_data: Path, tmp_path: Path) -> None:
    data = real_data / "online_retail"
    tables = ("core.sales_order", "core.order_line")
    found = check(tmp_path, data, "name: shop\ndefault_country: GB\n", {"shop": RETAIL}, tables)
    lines = f"'{data}/online_retail.parquet'"
    without_customer = ids(f"select InvoiceNo from {lines} where CustomerID is null")
    assert len(without_customer) > 1000
    assert found.failing("core_sales_order__party_present") == without_customer

    # cancellations are documents of their own, C and a number, with everything negative
    key = "concat_ws('/', InvoiceNo, StockCode, Quantity, UnitPrice)"
    negative = ids(f"select {key} from {lines} where Quantity <= 0")
    assert len(negative) > 3000
    assert ids(f"select {key} from {lines} where InvoiceNo like 'C%'") < negative
    assert found.failing("core_order_line__quantity_positive") == negative

    repeated = duckdb.sql(f"select {key}, count(*) - 1 from {lines} group by all having count(*) > 1").fetchall()
    kept_out = found.con.sql(
        "select source_id, count(*) from quality.quarantine where table_name = 'core.order_line' group by all"
    ).fetchall()
    assert len(repeated) > 1000
    assert dict(kept_out) == dict(repeated)


BIKES = """\
kind: erp
path: in/bikes
format: {dates: ["%Y%m%d"]}
objects:
  partner:
    files: BusinessPartners.csv
    maps:
      party:
        columns: {source_id: PARTNERID, account_number: {column: PARTNERID, remove: "^0+"}, company_name: COMPANYNAME, email: EMAILADDRESS}
  order:
    files: SalesOrders.csv
    maps:
      sales_order:
        columns: {source_id: SALESORDERID, party_source_id: PARTNERID, ordered_on: CREATEDAT, amount: NETAMOUNT, currency: CURRENCY}
"""
SAMPLE = """\
kind: crm
path: in/sample_content
format: {delimiter: ";", decimal: ",", dates: ["%Y-%m-%d", "%Y%m%d"], encoding: latin-1}
objects:
  partner:
    files: BusinessPartners.csv
    maps:
      party:
        columns: {source_id: PARTNERID, account_number: PARTNERID, company_name: COMPANYNAME, email: EMAILADDRESS}
  order:
    files: SalesOrders.csv
    maps:
      sales_order:
        columns: {source_id: SALESORDERID, party_source_id: PARTNERID, ordered_on: CREATEDAT, amount: NETAMOUNT, currency: CURRENCY}
"""


def test_sap_sales(real_data: Path, tmp_path: Path) -> None:
    data = real_data / "sap_sales"
    tables = ("core.party", "core.sales_order")
    found = check(tmp_path, data, "name: bikes\ndefault_country: US\n", {"bikes": BIKES, "sample": SAMPLE}, tables)
    # two date formats, a decimal comma, byte-order marks and latin-1, and yet every value is read
    for table in ("party", "sales_order"):
        assert found.failing(f"core_{table}__values_readable") == set()
        assert found.failing(f"core_{table}__key_present") == set()
    bikes = f"read_csv('{data}/bikes/SalesOrders.csv', all_varchar = true)"
    sample = f"read_csv('{data}/sample_content/SalesOrders.csv', delim = ';', all_varchar = true)"
    amounts = "select source_id, amount from core.sales_order where source_system = "
    net = "replace(NETAMOUNT, ',', '.')::decimal(18, 4)"
    assert set(found.con.sql(f"{amounts} 'bikes'").fetchall()) == pairs(f"select SALESORDERID, {net} from {bikes}")
    assert set(found.con.sql(f"{amounts} 'sample'").fetchall()) < pairs(f"select SALESORDERID, {net} from {sample}")
    # more than a thousand order numbers of that set stand there twice, with other amounts: one stays, with the others on show
    again = f"select SALESORDERID, count(*) - 1 from {sample} group by all having count(*) > 1"
    kept_out = "select source_id, count(*) from quality.quarantine where table_name = 'core.sales_order' group by all"
    assert set(found.con.sql(kept_out).fetchall()) == pairs(again)
    assert len(pairs(again)) > 1000
    # a partner of one set is one of the other without its leading zeros
    partners = f"read_csv('{data}/bikes/BusinessPartners.csv', all_varchar = true)"
    others = f"read_csv('{data}/sample_content/BusinessPartners.csv', delim = ';', all_varchar = true)"
    same = ids(f"select a.PARTNERID from {partners} as a join {others} as b on ltrim(a.PARTNERID, '0') = b.PARTNERID")
    assert len(same) > 30
    shared = found.con.sql(
        "select one.source_id from core.party as one join core.party as other using (account_number)"
        " where one.source_system = 'bikes' and other.source_system = 'sample'"
    ).fetchall()
    assert {key for (key,) in shared} == same
    orphans = ids(f"select SALESORDERID from {sample} where PARTNERID not in (select PARTNERID from {others})")
    orphans |= ids(f"select SALESORDERID from {bikes} where PARTNERID not in (select PARTNERID from {partners})")
    assert found.failing("core_sales_order__party_exists") == orphans


def pairs(query: str) -> set[tuple[Any, ...]]:
    return set(duckdb.sql(query).fetchall())


def ids(query: str) -> set[str]:
    return {key for (key,) in duckdb.sql(query).fetchall()}
