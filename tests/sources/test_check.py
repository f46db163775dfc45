"""`crm-quality sources check`: what maps, what does not and what looks wrong, before anybody runs anything."""

import zipfile
from pathlib import Path

import pytest

from crm_quality.cli import main
from crm_quality.ingest.check import SourceReport, check_source
from crm_quality.project import open_project
from crm_quality.sample import DirtRates, generate
from crm_quality.sources.layout import layouts, load_sources

SHOP = """\
kind: erp
path: in/{date}
objects:
  customer:
    files: customers.csv
    maps:
      party:
        columns:
          source_id: number
          full_name: name
          email: mail
          birth_date: born
          created_at: since
          city: {column: Wohnort, optional: true}
  order:
    files: orders.csv
    maps:
      sales_order: {columns: {source_id: id, party_source_id: customer, amount: total, ordered_on: day}}
  notes: {files: notes.csv, required: false}
"""


def project(folder: Path, files: dict[str, str], source: str = SHOP) -> Path:
    (folder / "sources").mkdir()
    (folder / "crm_quality.yaml").write_text("name: x")
    (folder / "sources" / "shop.yaml").write_text(source)
    (folder / "in" / "2026-11-21").mkdir(parents=True)
    for name, content in files.items():
        (folder / "in" / "2026-11-21" / name).write_text(content, encoding="utf-8")
    return folder


def check(folder: Path) -> SourceReport:
    opened = open_project(folder)
    return check_source(opened, load_sources(opened)[0])


CUSTOMERS = "number,name,E-Mail,born,since,Wohn-Ort,Fax\n" + "".join(
    f"{n},Anna,a{n}@b.de,{n % 28 + 1:02}/12/1980,2024-01-01 10:00:00,Bonn,\n" for n in range(30)
)
ORDERS = "id,customer,total,day\n" + "".join(f'{n % 4},1,"{n},50",2024-01-0{n % 9 + 1}\n' for n in range(40))


def test_each_kind_of_fault_is_told_in_plain_words(tmp_path):
    report = check(project(tmp_path, {"customers.csv": CUSTOMERS, "orders.csv": ORDERS, "stock.csv": "a\n1\n"}))
    customer, order, notes = report.objects
    assert report.title == "shop, extract of 2026-11-21"
    assert customer.title == "customer: customers.csv, 30 lines looked at"
    assert customer.maps == [
        "becomes party (30 records): 4 of 6 columns; without email, city",
        "not mapped: E-Mail, Wohn-Ort, Fax",
    ]
    missing, name, birth = customer.wrong
    assert missing.startswith("in/customers.csv" if "in/" in missing else "customer/customers.csv")
    assert "column 'mail' (party.email) is missing; the closest header is 'E-Mail'" in missing
    assert birth == (
        "party.birth_date: 30 of 30 values are no date; they look like '99/99/9999', which '%d/%m/%Y' in `format` reads"
    )
    assert name == "party.full_name has the same value in all 30 lines: is it the right header?"
    assert customer.doubts == ["party.city: no header 'Wohnort', but 'Wohn-Ort' is near"]

    repeated = [line for line in order.wrong if "have no id or one that another line has" in line]
    assert repeated == [
        "sales_order: 36 of 40 lines have no id or one that another line has; is source_id the id, or are there `repeats`?"
    ]
    assert notes.title == "notes: no file, takes no part"
    assert report.doubts == ["No object reads stock.csv."]
    assert report.faults == len(customer.wrong) + len(order.wrong)


def test_a_decimal_comma_is_suspected(tmp_path):
    orders = 'id,customer,total,day\n1,1,"1.234,50",2024-01-01\n2,1,"9.234,50",2024-01-01\n'
    (_, order, _) = check(project(tmp_path, {"customers.csv": CUSTOMERS, "orders.csv": orders})).objects
    assert order.wrong == [
        "sales_order.amount: 2 of 2 values have another decimal sign than '.'; they look like '9.999,99': "
        "is `decimal` of `format` right?"
    ]


def test_no_value_of_a_customer_is_shown(tmp_path):
    report = check(
        project(tmp_path, {"customers.csv": CUSTOMERS.replace("/12/1980", " Geheimnis"), "orders.csv": ORDERS})
    )
    text = "\n".join(report.lines())
    assert "aaaaaaaaa" in text
    assert "Geheimnis" not in text
    assert "Anna" not in text


def test_a_required_object_without_file_and_a_source_without_extract_are_wrong(tmp_path):
    folder = project(tmp_path, {"customers.csv": CUSTOMERS})
    report = check(folder)
    assert "shop.order: no file 'orders.csv'" in report.objects[1].wrong[0]
    (folder / "in" / "2026-11-21" / "customers.csv").unlink()
    (folder / "in" / "2026-11-21").rmdir()
    assert "Nothing was found at" in check(folder).wrong[0]


def test_only_the_first_megabyte_of_a_text_is_read(tmp_path):
    big = "number,name,mail,born,since\n" + "".join(f"{n},n{n},{n}@b.de,1980-01-01,2024-01-01\n" for n in range(60_000))
    (customer, _, _) = check(project(tmp_path, {"customers.csv": big, "orders.csv": ORDERS})).objects
    assert "60,000" not in customer.title
    assert customer.wrong == []


def test_files_in_a_zip_that_nobody_asks_for_are_named(tmp_path):
    folder = project(tmp_path, {"orders.csv": ORDERS})
    with zipfile.ZipFile(folder / "in" / "2026-11-21" / "all.zip", "w") as archive:
        archive.writestr("customers.csv", CUSTOMERS)
        archive.writestr("stock.csv", "a\n1\n")
    assert check(folder).doubts == ["No object reads all.zip/stock.csv."]


def test_the_command_says_what_is_wrong_and_ends_with_exit_code_one(tmp_path, capsys):
    folder = project(tmp_path, {"customers.csv": CUSTOMERS, "orders.csv": ORDERS})
    with pytest.raises(SystemExit) as ended:
        main(["sources", "check", "--project", str(folder)])
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "    ! party.full_name has the same value" in out
    assert out.splitlines()[-1].endswith("look wrong: the lines with !")


@pytest.mark.parametrize("layout", layouts())
def test_nothing_looks_wrong_in_the_sample_of_a_layout(tmp_path, layout):
    generate(tmp_path / "p", customers=250, seed=4, dirt=DirtRates.none(), layouts=[layout])
    report = check(tmp_path / "p")
    assert [entry.wrong for entry in report.objects if entry.wrong] == []
    assert report.doubts == []
