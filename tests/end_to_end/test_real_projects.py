"""Data of four other companies, each a project of YAML files only, from the files as they come to a published database."""

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.end_to_end.conftest import Ran, run

# One SAP system's business partners and orders, exported twice in different shapes, and its finance customers.
SAP_BIKES = """\
kind: erp
priority: 10
path: bikes/{date}
format: {dates: ["%Y%m%d"], timestamps: ["%Y%m%d"]}
objects:
  BusinessPartners:
    files: BusinessPartners.csv
    maps:
      party:
        look_up: {Addresses: {ADDRESSID: ADDRESSID}}
        columns:
          source_id: PARTNERID
          party_type: {constant: organisation}
          account_number: {column: PARTNERID, remove: "^0+"}
          company_name: COMPANYNAME
          email: EMAILADDRESS
          phone: PHONENUMBER
          website: WEBADDRESS
          street: Addresses.STREET
          house_number: Addresses.BUILDING
          city: Addresses.CITY
          postal_code: Addresses.POSTALCODE
          country: Addresses.COUNTRY
          created_at: CREATEDAT
          modified_at: CHANGEDAT
  Addresses: {files: Addresses.csv}
  Products:
    files: Products.csv
    maps:
      product:
        look_up: {ProductTexts: {PRODUCTID: PRODUCTID}}
        columns: {source_id: PRODUCTID, name: ProductTexts.MEDIUM_DESCR, category: PRODCATEGORYID, list_price: PRICE, currency: CURRENCY}
  ProductTexts: {files: ProductTexts.csv}
  SalesOrders:
    files: SalesOrders.csv
    maps:
      sales_order:
        columns: &order
          source_id: SALESORDERID
          party_source_id: PARTNERID
          ordered_on: CREATEDAT
          amount: NETAMOUNT
          currency: CURRENCY
          status: LIFECYCLESTATUS
          is_cancelled: {column: LIFECYCLESTATUS, values: {X: "1", "*": "0"}}
          modified_at: CHANGEDAT
  SalesOrderItems:
    files: SalesOrderItems.csv
    maps:
      order_line:
        columns: &line
          source_id: {columns: [SALESORDERID, SALESORDERITEM], join: "-"}
          order_source_id: SALESORDERID
          line_number: SALESORDERITEM
          product_source_id: PRODUCTID
          quantity: QUANTITY
          unit_price: NETAMOUNT
          amount: {formula: "{NETAMOUNT} * {QUANTITY}"}
          currency: CURRENCY
          due_on: DELIVERYDATE
"""
SAP_SAMPLE_CONTENT = """\
kind: erp
priority: 20
path: sample_content/{date}
format: {delimiter: ";", decimal: ",", dates: ["%Y%m%d", "%Y-%m-%d"]}
objects:
  BusinessPartners:
    files: BusinessPartners.csv
    maps:
      party:
        columns:
          source_id: PARTNERID
          party_type: {constant: organisation}
          account_number: PARTNERID
          company_name: COMPANYNAME
          email: EMAILADDRESS
          phone: PHONENUMBER
          website: WEBADDRESS
          created_at: CREATEDAT
  SalesOrders:
    files: SalesOrders.csv
    maps:
      sales_order:
        columns: {source_id: SALESORDERID, party_source_id: PARTNERID, ordered_on: CREATEDAT, amount: NETAMOUNT, currency: CURRENCY}
  SalesOrderItems:
    files: SalesOrderItems.csv
    maps:
      order_line:
        columns:
          source_id: {columns: [SALESORDERID, SALESORDERITEM], join: "-"}
          order_source_id: SALESORDERID
          product_source_id: PRODUCTID
          quantity: QUANTITY
          unit_price: NETAMOUNT
          amount: {formula: "{NETAMOUNT} * {QUANTITY}"}
          currency: CURRENCY
"""
SAP_FINANCE = """\
kind: crm
path: fi_customer/{date}
format: {dates: ["%Y%m%d"], nulls: ["#"]}
objects:
  Customer:
    files: Customer.csv
    maps:
      party:
        where: {CUSTOMERID: "[^#].*"}
        look_up: {CustomerTexts: {CUSTOMERID: CUSTOMERID}}
        columns:
          source_id: CUSTOMERID
          party_type: {constant: organisation}
          company_name: CustomerTexts.MEDIUM_DESCR
          country: COUNTRY
          status: CUSTOMERTYPEID
          created_at: CREATEDAT
  CustomerTexts: {files: CustomerTexts.csv}
"""
# A CRM without any id of its customers but their names.
MAVEN = """\
kind: crm
path: extract/{date}
objects:
  accounts:
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
  sales_pipeline:
    files: sales_pipeline.csv
    maps:
      opportunity:
        look_up: {sales_teams: {sales_agent: sales_agent}}
        columns:
          source_id: opportunity_id
          party_source_id: account
          name: product
          stage: deal_stage
          amount: close_value
          currency: {constant: USD}
          is_closed: {column: deal_stage, values: {Won: "1", Lost: "1", "*": "0"}}
          is_won: {column: deal_stage, values: {Won: "1", "*": "0"}}
          close_date: close_date
          lead_source: sales_teams.regional_office
          owner: sales_agent
          created_at: engage_date
      order_line:
        where: {deal_stage: Won}
        columns: {source_id: opportunity_id, product_source_id: product, amount: close_value}
  sales_teams: {files: sales_teams.csv}
  products:
    files: products.csv
    maps:
      product: {columns: {source_id: product, name: product, category: series, list_price: sales_price, currency: {constant: USD}}}
"""
NORTHWIND = """\
kind: erp
path: extract/{date}
format: {nulls: ["NULL"], dates: ["%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d"]}
objects:
  customers:
    files: customers.csv
    maps:
      party:
        columns:
          source_id: customerID
          party_type: {constant: organisation}
          company_name: companyName
          phone: phone
          street: address
          city: city
          region: region
          postal_code: postalCode
          country: country
  orders:
    files: orders.csv
    maps:
      sales_order:
        look_up: {employees: {employeeID: employeeID}}
        columns:
          source_id: orderID
          party_source_id: customerID
          ordered_on: orderDate
          due_on: requiredDate
          currency: {constant: USD}
          owner: {columns: [employees.firstName, employees.lastName]}
  order_details:
    files: order_details.csv
    maps:
      order_line:
        look_up: {orders: {orderID: orderID}}
        columns:
          source_id: {columns: [orderID, productID], join: "/"}
          order_source_id: orderID
          product_source_id: productID
          quantity: quantity
          unit_price: {formula: "{unitPrice} * (1 - {discount})"}
          amount: {formula: "{unitPrice} * {quantity} * (1 - {discount})"}
          currency: {constant: USD}
          ordered_on: orders.orderDate
          shipped_on: orders.shippedDate
  products:
    files: products.csv
    maps:
      product:
        look_up: {categories: {categoryID: categoryID}}
        columns:
          source_id: productID
          name: productName
          category: categories.categoryName
          list_price: unitPrice
          currency: {constant: USD}
          is_active: {column: discontinued, values: {"0": "1", "1": "0"}}
  categories: {files: categories.csv}
  employees: {files: employees.csv}
"""
# A shop that keeps nothing but invoice lines: customers, orders and products are what its lines say of them.
ONLINE_RETAIL = """\
kind: erp
path: extract/{date}
format: {dates: ["%Y-%m-%d %H:%M:%S"]}
objects:
  line:
    files: online_retail.parquet
    maps:
      party:
        repeats: true
        where: {CustomerID: ".+"}
        columns: {source_id: CustomerID, party_type: {constant: person}, country: Country}
      product:
        repeats: true
        columns: {source_id: StockCode, name: Description}
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
          currency: {constant: GBP}
          ordered_on: InvoiceDate
"""
# The company's own list of industries is all that the shipped rules need to be told.
SETTINGS = {
    "maven_crm": """\
checks:
  core_party__industry_known:
    value_set: [employment, services, entertainment, telecommunications, software, marketing, finance, technology, medical, retail]
"""
}
# The sources of a company, the day of its extract, and where its files are put for it.
COMPANIES = {
    "sap_sales": ({"bikes": SAP_BIKES, "sample_content": SAP_SAMPLE_CONTENT, "finance": SAP_FINANCE}, "2021-06-30"),
    "maven_crm": ({"maven": MAVEN}, "2017-12-31"),
    "northwind": ({"northwind": NORTHWIND}, "1998-05-06"),
    "online_retail": ({"shop": ONLINE_RETAIL}, "2011-08-31"),
}


def set_up(name: str, real_data: Path, folder: Path) -> None:
    """A project of the company's files as they are and its YAML files."""
    sources, day = COMPANIES[name]
    parts = [path for path in (real_data / name).iterdir() if path.is_dir()]
    for part in parts:
        shutil.copytree(part, folder / part.name / day)
    if not parts:
        shutil.copytree(real_data / name, folder / "extract" / day)
    (folder / "sources").mkdir()
    (folder / "crm_quality.yaml").write_text(f"name: {name}\ndefault_country: US\n" + SETTINGS.get(name, ""))
    for source, text in sources.items():
        (folder / "sources" / f"{source}.yaml").write_text(text)


@pytest.fixture(scope="module", params=list(COMPANIES))
def company(request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp(request.param) / request.param
    set_up(request.param, real_data, folder)
    return run(folder)


def failed(con: duckdb.DuckDBPyConnection, check: str) -> int:
    """How many rows fail a check; 0 where it passes."""
    row = con.execute(
        "select failed_rows, success, error from quality.check_result where check_id = ?", [check]
    ).fetchone()
    assert row is not None and row[1] is not None and row[2] is None, (check, row)
    return int(row[0])


def failing(con: duckdb.DuckDBPyConnection, check: str) -> set[str]:
    """The ids of the records that fail a check, which has been run."""
    failed(con, check)
    return {
        key for (key,) in con.execute("select source_id from quality.failure where check_id = ?", [check]).fetchall()
    }


def ids(query: str) -> set[str]:
    """The one column of a query of the files as they came."""
    return {key for (key,) in duckdb.execute(query).fetchall()}


def expect_sap_sales(con: duckdb.DuckDBPyConnection, files: Path) -> None:
    # The same forty partners come from two exports, with and without leading zeros: one customer each.
    pairs = """
        select count(*), count(distinct bikes.customer_id)
        from golden.customer_xref as bikes join golden.customer_xref as other
            on bikes.customer_id = other.customer_id and bikes.source_id = lpad(other.source_id, 10, '0')
        where bikes.source_system = 'bikes' and other.source_system = 'sample_content'"""
    assert con.sql(pairs).fetchone() == (40, 40)
    # The finance extract has names and nothing else to go by: enough to ask a person, not to merge.
    doubtful = "select count(*) from identity.review_queue where left_source_system = 'bikes' and right_source_system = 'finance'"
    assert con.sql(doubtful).fetchone()[0] >= 5
    # Names, addresses and the amounts of orders are looked up and computed from other files.
    partner = "select company_name, street, house_number, city, country from core.party where source_id = '0100000007'"
    assert con.sql(partner).fetchone() == ("Trek Cycle AG", "Brandenburgische Straße", "10", "Berlin Mariendorf", "DE")
    assert con.sql(
        """
        select count(*), count(*) filter (orders.amount = lines.amount) from core.sales_order as orders
        join (select order_source_id, sum(amount) as amount from core.order_line where source_system = 'bikes' group by all)
            as lines on orders.source_id = lines.order_source_id where source_system = 'bikes'
        """
    ).fetchone() == (334, 334)
    # The other export repeats its order numbers with other amounts, and lacks the headers of 1,384 orders.
    assert con.sql("select count(*) from quality.quarantine where table_name = 'core.sales_order'").fetchone() == (
        1467,
    )
    assert failed(con, "core_order_line__order_exists") == 4878
    sample = f"read_csv('{files}/sample_content/SalesOrders.csv', delim = ';', all_varchar = true)"
    again = f"select SALESORDERID, count(*) - 1 from {sample} group by all having count(*) > 1"
    kept_out = "select source_id, count(*) from quality.quarantine where table_name = 'core.sales_order' group by all"
    assert dict(con.execute(kept_out).fetchall()) == dict(duckdb.execute(again).fetchall())
    # Orders of partners that are in no file.
    partners = f"read_csv('{files}/sample_content/BusinessPartners.csv', delim = ';', all_varchar = true)"
    orphans = ids(f"select SALESORDERID from {sample} where PARTNERID not in (select PARTNERID from {partners})")
    orphans |= ids(
        f"""select SALESORDERID from read_csv('{files}/bikes/SalesOrders.csv', all_varchar = true) where PARTNERID not in
        (select PARTNERID from read_csv('{files}/bikes/BusinessPartners.csv', all_varchar = true))"""
    )
    assert failing(con, "core_sales_order__party_exists") == orphans
    # Two date formats, a decimal comma, byte-order marks and latin-1, and yet every value is read.
    for table in ("party", "sales_order"):
        assert failed(con, f"core_{table}__values_readable") == failed(con, f"core_{table}__key_present") == 0
    amounts = f"select SALESORDERID, replace(NETAMOUNT, ',', '.')::decimal(18, 4) from {sample}"
    read = "select source_id, amount from core.sales_order where source_system = 'sample_content'"
    assert set(con.execute(read).fetchall()) < set(duckdb.execute(amounts).fetchall())
    assert failed(con, "core_order_line__order_is_sum_of_lines") == 3699
    # Joined customers buy in both.
    both = "select count(*) from (select customer_id from marts.customer_order group by 1 having count(distinct source_system) = 2)"
    assert con.sql(both).fetchone() == (40,)


def expect_maven_crm(con: duckdb.DuckDBPyConnection, files: Path) -> None:
    won = "select count(*), sum(amount)::int from core.opportunity where is_won"
    assert con.sql(won).fetchone() == (4238, 10005534)
    deals = f"read_csv('{files}/sales_pipeline.csv', all_varchar = true)"
    without_account = ids(f"select opportunity_id from {deals} where account is null")
    assert len(without_account) == 1425
    assert failing(con, "core_opportunity__party_present") == without_account
    unknown = f"product not in (select product from read_csv('{files}/products.csv', all_varchar = true))"
    unjoined = ids(f"select opportunity_id from {deals} where deal_stage = 'Won' and {unknown}")
    assert len(unjoined) > 500
    assert failing(con, "core_order_line__product_exists") == unjoined
    misspelt = ids(f"select account from read_csv('{files}/accounts.csv') where sector = 'technolgy'")
    assert len(misspelt) == 12
    assert failing(con, "core_party__industry_known") == misspelt
    joined = "select count(distinct party_source_id), count(*) from core.opportunity join core.party on party_source_id = party.source_id"
    assert con.sql(joined).fetchone() == (85, 8800 - 1425)
    assert con.sql("select count(*), count(distinct industry) from golden.customer").fetchone() == (85, 10)
    assert con.sql(
        "select count(*) from core.opportunity where lead_source in ('Central', 'East', 'West')"
    ).fetchone() == (8800,)


def expect_northwind(con: duckdb.DuckDBPyConnection, files: Path) -> None:
    # The sum that everybody knows who ever taught SQL.
    assert con.sql("select count(*), round(sum(amount), 2)::double from marts.customer_order").fetchone() == (
        830,
        1265793.04,
    )
    assert con.sql("select count(*), count(region) from core.party").fetchone() == (91, 31)
    assert con.sql("select owner from core.sales_order where source_id = '10248'").fetchone() == ("Steven Buchanan",)
    assert con.sql("select category from core.product where name = 'Chai'").fetchone() == ("Beverages",)
    for check in ("order_exists", "product_exists", "amount_is_quantity_times_price"):
        assert failed(con, f"core_order_line__{check}") == 0
    best = "select display_name from golden.customer join marts.customer_value using (customer_id) order by monetary_value * (frequency + 1) desc limit 3"
    assert {name for (name,) in con.sql(best).fetchall()} == {"QUICK-Stop", "Save-a-lot Markets", "Ernst Handel"}


def expect_online_retail(con: duckdb.DuckDBPyConnection, files: Path) -> None:
    assert con.sql("select count(*), count(distinct source_id) from core.party").fetchone() == (3360, 3360)
    # Each line that comes twice is kept out once and shown.
    lines, key = f"'{files}/online_retail.parquet'", "concat_ws('/', InvoiceNo, StockCode, Quantity, UnitPrice)"
    counted = "select (select count(*) from core.order_line), (select count(*) from quality.quarantine)"
    kept, kept_out = con.sql(counted).fetchone()
    assert (kept, kept_out, kept + kept_out) == (318221, 2484, 320705)
    repeated = f"select {key}, count(*) - 1 from {lines} group by all having count(*) > 1"
    shown = "select source_id, count(*) from quality.quarantine where table_name = 'core.order_line' group by all"
    assert dict(con.execute(shown).fetchall()) == dict(duckdb.execute(repeated).fetchall())
    # A quarter of the lines has no customer.
    without_customer = ids(f"select InvoiceNo from {lines} where CustomerID is null")
    assert failing(con, "core_sales_order__party_present") == without_customer
    assert con.sql("select count(*), count(party_source_id) from core.sales_order").fetchone() == (16459, 16459 - 2617)
    ordered = "select count(*), count(distinct customer_id) from marts.customer_order where amount > 0"
    assert con.sql(ordered).fetchone() == (11413, 3317)
    # Cancellations are documents of their own and take their money off: C and a number, with everything negative.
    negative = ids(f"select {key} from {lines} where Quantity <= 0")
    assert ids(f"select {key} from {lines} where InvoiceNo like 'C%'") < negative
    assert failing(con, "core_order_line__quantity_positive") == negative
    credit = "select count(*) from core.order_line where order_source_id like 'C%' and amount < 0"
    assert con.sql(credit).fetchone()[0] > 5000
    assert con.sql("select count(*) from marts.customer_value where model_version like 'bg-nbd%'").fetchone() == (3317,)


FINDINGS = {
    "sap_sales": expect_sap_sales,
    "maven_crm": expect_maven_crm,
    "northwind": expect_northwind,
    "online_retail": expect_online_retail,
}


def test_it_is_published_whole_and_joined_and_its_dirt_is_found_row_by_row(company, real_data):
    assert company.outcome.problems == []
    assert company.outcome.published
    with duckdb.connect(str(company.project.warehouse), read_only=True) as con:
        assert con.sql("select * from meta.loaded_file where unaccounted > 0 or rejected > 0").fetchall() == []
    with duckdb.connect(str(company.project.golden), read_only=True) as con:
        members = con.sql("select (select count(*) from core.party), sum(record_count) from golden.customer").fetchone()
        assert members[0] == members[1]
        FINDINGS[company.project.folder.name](con, real_data / company.project.folder.name)
