"""Golden fields against the truth. Belongs here: the figures. Does not: the command line."""

from datetime import datetime
from pathlib import Path

import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.field_accuracy import field_accuracy
from tests.golden.scenario import build, fill, record, warehouse

KEYS = "source_system,source_object,source_id,entity_id\n"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """One customer whom the ERP knows rightly, one whom only an old record does, one whom nobody does."""
    file = tmp_path / "version.duckdb"
    with warehouse() as con:
        fill(
            con,
            [
                record("1", "a", source_system="erp", email="a@x.com", modified_at=datetime(2020, 1, 1)),
                record("2", "a", email="wrong@x.com", modified_at=datetime(2026, 1, 1)),
                record("3", "b", city="Köln", modified_at=datetime(2020, 1, 1)),
                record("4", "b", city="Bonn", modified_at=datetime(2026, 1, 1)),
                record("5", "c", email="nobody@x.com"),
            ],
        )
        build(con, "golden.customer_xref", "golden.customer_lineage")
        con.execute(f"attach '{file}' as target")
        for table in ("golden.customer_xref", "golden.customer_lineage", "core.party"):
            con.execute(f"create schema if not exists target.{table.split('.')[0]}")
            con.execute(f"create table target.{table} as from {table}")
    return file


def test_a_field_is_right_where_it_is_the_true_value_whatever_its_case_and_punctuation(
    published: Path, tmp_path: Path
) -> None:
    truth, values = tmp_path / "truth.csv", tmp_path / "values.csv"
    truth.write_text(KEYS + "erp,Contact,1,A\ncrm,Contact,2,A\ncrm,Contact,3,B\ncrm,Contact,4,B\ncrm,Contact,5,C\n")
    values.write_text("entity_id,email,city\nA,A@X.com,\nB,,KÖLN\nC,other@x.com,\n")
    found = {field.field: field for field in field_accuracy(published, truth, values)}
    # c is not counted: no record has its true address.
    assert {name: (field.customers, field.golden) for name, field in found.items()} == {
        "all": (2, 0.5), "email": (1, 1.0), "city": (1, 0.0),
    }  # fmt: skip
    assert found["email"].baselines == {"crm": 0.0, "erp": 1.0, "most recent wins": 0.0}


def test_a_file_without_any_field_is_refused_with_the_fields_there_are(published: Path, tmp_path: Path) -> None:
    truth, values = tmp_path / "truth.csv", tmp_path / "values.csv"
    truth.write_text(KEYS)
    values.write_text("entity_id,mail\n")
    with pytest.raises(CrmQualityError, match=r"values.csv: needs entity_id and at least one of display_name"):
        field_accuracy(published, truth, values)
