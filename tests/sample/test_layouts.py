"""Each built-in layout: the sample company's export in the system's own files arrives in core as the truth says."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import Project, open_project
from crm_quality.sample import DirtRates, generate
from crm_quality.sources.layout import Source, canonical, layouts, load_sources
from crm_quality.sql_model import load_models
from crm_quality.standardise.lookups import build_lookups

DAY = date(2026, 11, 21)
# Everything that a system says itself about its records, and no value that nobody could read.
RATES = {
    "duplicates": 0.2, "merged": 0.4, "deleted": 0.1, "ghosts": 0.15, "cancelled": 0.05, "subsidiaries": 0.2,
    "unpaid": 0.03, "partly_paid": 0.05, "missing_tax_id": 0.2, "missing_email": 0.1, "missing_birth_date": 0.2,
    "line_breaks": 0.1, "won_without_amount": 0.1,
}  # fmt: skip


class Loaded:
    """The sample company with one system of a layout, loaded up to core."""

    def __init__(self, folder: Path, layout: str) -> None:
        rates = DirtRates(**(dict.fromkeys(DirtRates.__dataclass_fields__, 0.0) | RATES))
        generate(folder, customers=250, seed=3, extract_date=DAY, dirt=rates, layouts=[layout])
        self.project: Project = open_project(folder)
        (self.source,) = load_sources(self.project)
        self.con = duckdb.connect()
        self.con.execute("create schema meta;" + raw.TABLES + staging.TABLES)
        self.con.execute(f"create table meta.current_run as select 'r' as run_id, date '{DAY}' as extract_date")
        self.reports = [load_object(self.con, self.project, self.source, name, DAY) for name in self.source.objects]
        for table in canonical():
            build_staging(self.con, [self.source], table, DAY)
        build_lookups(self.con, "CN")
        self.con.execute("create schema core")
        for model in load_models():
            if model.name.startswith("core."):
                model.build(self.con)

    @property
    def truth(self) -> list[tuple[str, str, Path]]:
        """Object, canonical table and file of each truth."""
        folder = self.project.folder / "truth" / "canonical" / self.source.name
        return [(file.stem.split(".")[0], file.stem.split(".")[1], file) for file in sorted(folder.glob("*.csv"))]


@pytest.fixture(scope="module", params=layouts())
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp(request.param) / "company", request.param)


def same_text(value: str) -> str:
    """Core collapses whitespace, and writes codes in capitals."""
    return f"upper(nullif(trim(regexp_replace({value}, '\\s+', ' ', 'g')), ''))"


def comparable(con: duckdb.DuckDBPyConnection, table: str, columns: list[str]) -> tuple[list[str], list[str]]:
    """Expressions over the truth and over core that must be equal."""
    there = {name for name, *_ in con.execute(f"describe core.{table}").fetchall()}
    truth, core = [], []
    for column in columns:
        kind = canonical()[table].columns[column]
        if kind == "text":
            truth.append(same_text(column))
            core.append(same_text(f"{column}_raw" if f"{column}_raw" in there else column))
        else:
            truth.append(f"cast(cast({column} as {staging._TYPES[kind]}) as varchar)")
            core.append(f"cast({column} as varchar)")
    return truth, core


def test_every_line_is_loaded_and_nothing_is_missed(loaded):
    assert [report.problems for report in loaded.reports if report.problems] == []
    assert sum(report.rejected + report.unaccounted for report in loaded.reports) == 0
    kept_out = "select count(*) from staging.party where quarantine_reason is not null"
    assert loaded.con.sql(kept_out).fetchone() == (0,)


def test_every_field_arrives_as_the_truth_says(loaded):
    assert loaded.truth
    for name, table, file in loaded.truth:
        rows = f"read_csv('{file}', all_varchar = true, header = true)"
        columns = [column for column, *_ in loaded.con.sql(f"describe select * from {rows}").fetchall()]
        truth, core = comparable(loaded.con, table, columns)
        expected = f"select {', '.join(truth)} from {rows}"
        arrived = f"select {', '.join(core)} from core.{table} where source_object = '{name}'"
        for one, other, what in ((expected, arrived, "missing"), (arrived, expected, "too much")):
            found = loaded.con.sql(f"{one} except all {other} limit 3").fetchall()
            assert found == [], f"{name}.{table}: {what} of {columns}"


def fixed(source: Source, name: str, table: str) -> set[str]:
    columns = source.objects[name].maps[table].columns
    return {column for column, spec in columns.items() if spec.constant is not None}


def test_the_truth_covers_every_column_that_the_files_fill(loaded):
    told: dict[tuple[str, str], set[str]] = {}
    for name, table, file in loaded.truth:
        told[name, table] = set(file.open(encoding="utf-8").readline().replace('"', "").strip().split(","))
    mapped = loaded.con.sql("select source_object, table_name, list(column_name) from meta.mapped_column group by all")
    for name, table, columns in mapped.fetchall():
        # An id made of several headers is compared by them.
        composed = (
            {"source_id"} if len(loaded.source.objects[name].maps[table].columns["source_id"].parts) > 1 else set()
        )
        untold = set(columns) - told.get((name, table), set()) - fixed(loaded.source, name, table) - composed
        assert untold == set(), f"{name}.{table}"


def test_no_column_of_the_truth_is_empty_throughout(loaded):
    for _, table, file in loaded.truth:
        rows = f"read_csv('{file}', all_varchar = true, header = true)"
        counts = loaded.con.sql(f"select count(columns(*)) from {rows}")
        empty = {column for column, count in zip(counts.columns, counts.fetchone(), strict=True) if not count}
        # Nobody in this company is linked to what these name.
        assert empty <= {
            "parent_source_id",
            "is_blocked",
            "national_id",
            "email",
            "website",
            "merged_into_source_id",
            "direction",
            "opportunity_source_id",
            "gender",
            "birth_date",
            "given_name",
            "family_name",
            "company_name",
            "duration_seconds",
            "industry",
        }, f"{file.name} {table}: {empty}"


def test_what_the_system_knows_of_merges_arrives_as_evidence(loaded):
    evidence = "select count(merged_into_source_id), count(merged_source_ids) from core.party"
    into, taken_in = loaded.con.sql(evidence).fetchone()
    expected = {
        "salesforce": (True, False),
        "dynamics": (True, False),
        "generic_crm": (True, False),
        "zoho": (True, False),
        "hubspot": (False, True),
    }
    assert (into > 0, taken_in > 0) == expected.get(loaded.source.name, (False, False))
