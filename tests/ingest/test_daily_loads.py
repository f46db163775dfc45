"""Snapshots, increments and deletions, late, corrected, repeated and missing days; what drifts from day to day."""

import os
from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml

from crm_quality.ingest import raw, staging
from crm_quality.ingest.raw import LoadReport, changed_since_loaded, load_object
from crm_quality.ingest.staging import build_staging
from crm_quality.project import Project, open_project
from crm_quality.sources.layout import load_sources

COLUMNS = {"source_id": "id", "full_name": "name", "modified_at": {"column": "changed", "optional": True}}


class Crm:
    """A project whose one source, `crm`, has one object, `Customer`; day n is 2026-11-n."""

    def __init__(self, folder: Path, entry: dict[str, object] | None = None, **source: object) -> None:
        (folder / "sources").mkdir()
        (folder / "crm_quality.yaml").write_text("name: crm")
        table = source.pop("table", "party")
        columns = source.pop("columns", COLUMNS)
        definition = {
            "kind": "crm",
            "path": "in/{date}",
            "objects": {
                "Customer": {"files": "customers*.csv", "maps": {table: {"columns": columns}}, **(entry or {})}
            },
            **source,
        }
        (folder / "sources" / "crm.yaml").write_text(yaml.safe_dump(definition))
        self.table = table
        self.project: Project = open_project(folder)
        (self.source,) = load_sources(self.project)
        self.con = duckdb.connect()
        self.con.execute("create schema meta;" + raw.TABLES + staging.TABLES)

    def deliver(self, day: int, content: str, name: str = "customers.csv") -> Path:
        file = self.project.folder / "in" / f"2026-11-{day:02}" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def load(self, day: int) -> LoadReport:
        return load_object(self.con, self.project, self.source, "Customer", date(2026, 11, day))

    def state(self, day: int, columns: str = "source_id, full_name") -> list[tuple[object, ...]]:
        self.load(day)
        build_staging(self.con, [self.source], self.table, date(2026, 11, day))
        return self.con.sql(
            f"select {columns} from staging.{self.table} where quarantine_reason is null order by all"
        ).fetchall()


INCREMENTS = {"increments": "customers_delta*.csv", "deletes": "customers_deleted*.csv"}


def test_the_state_of_a_day_is_the_newest_snapshot_and_every_change_since(tmp_path):
    crm = Crm(tmp_path, INCREMENTS)
    crm.deliver(1, "id,name\n9,of an older snapshot\n")
    crm.deliver(2, "id,name\n1,Ann\n2,Bob\n3,Cid\n")
    crm.deliver(3, "id,name\n2,Rob\n4,Dan\n", "customers_delta.csv")
    crm.deliver(4, "id\n1\n", "customers_deleted.csv")
    assert crm.load(4).problems == []
    assert crm.state(4, "source_id, full_name, coalesce(is_deleted, false)") == [
        ("1", "Ann", True),
        ("2", "Rob", False),
        ("3", "Cid", False),
        ("4", "Dan", False),
    ]
    assert crm.state(3, "source_id, coalesce(is_deleted, false)")[0] == ("1", False)
    # What a later day replaced is history, not a fault.
    assert crm.con.sql("select count(*) from staging.party where quarantine_reason is not null").fetchone() == (0,)


def test_a_record_that_comes_back_after_its_deletion_lives(tmp_path):
    crm = Crm(tmp_path, INCREMENTS)
    crm.deliver(1, "id,name\n1,Ann\n")
    crm.deliver(2, "id\n1\n", "customers_deleted.csv")
    crm.deliver(3, "id,name\n1,Ann again\n", "customers_delta.csv")
    assert crm.state(3, "full_name, coalesce(is_deleted, false)") == [("Ann again", False)]


def test_a_line_can_say_itself_that_its_record_is_gone_and_an_object_without_such_a_mark_loses_it(tmp_path):
    columns = {"source_id": "id", "amount": "amount"}
    entry = {"increments": "customers_delta*.csv", "deleted_when": {"mode": "D|DELETE"}}
    crm = Crm(tmp_path, entry, table="payment", columns=columns)
    crm.deliver(1, "id,amount,mode\n1,10,\n2,20,\n")
    crm.deliver(2, "id,amount,mode\n2,,D\n3,30,I\n", "customers_delta.csv")
    assert crm.state(2, "source_id, amount::int") == [("1", 10), ("3", 30)]


def test_a_late_day_is_brought_in_without_disturbing_later_ones(tmp_path):
    crm = Crm(tmp_path, INCREMENTS)
    crm.deliver(1, "id,name\n1,Ann\n2,Bob\n")
    crm.deliver(3, "id,name\n2,Bob of day 3\n", "customers_delta.csv")
    assert crm.load(3).missing_days == [date(2026, 11, 2)]
    crm.deliver(2, "id,name\n1,Ann of day 2\n2,Bob of day 2\n", "customers_delta.csv")
    assert crm.state(3) == [("1", "Ann of day 2"), ("2", "Bob of day 3")]
    assert crm.load(3).missing_days == []


def test_a_corrected_file_of_an_old_day_replaces_that_day_only(tmp_path):
    crm = Crm(tmp_path, INCREMENTS)
    crm.deliver(1, "id,name\n1,Ann\n")
    crm.deliver(2, "id,name\n1,wrong\n", "customers_delta.csv")
    crm.deliver(3, "id,name\n5,Eve\n", "customers_delta.csv")
    crm.load(3)
    crm.deliver(2, "id,name\n1,Anne\n2,Bob\n", "customers_delta.csv")
    assert crm.state(3) == [("1", "Anne"), ("2", "Bob"), ("5", "Eve")]
    counts = crm.con.sql(
        "select extract_date::varchar, count(*) from raw.crm__customer join "
        "(select distinct extract_date from meta.loaded_file) on extract_date = _extract_date group by all order by all"
    )
    assert counts.fetchall() == [("2026-11-01", 1), ("2026-11-02", 2), ("2026-11-03", 1)]


def test_an_old_day_can_be_loaded_after_a_newer_one(tmp_path):
    crm = Crm(tmp_path)
    crm.deliver(2, "id,name\n1,new\n")
    crm.load(2)
    crm.deliver(1, "id,name\n1,old\n")
    assert crm.state(1) == [("1", "old")]
    assert crm.state(2) == [("1", "new")]


def test_the_same_content_under_two_names_is_loaded_once(tmp_path):
    crm = Crm(tmp_path)
    crm.deliver(1, "id,name\n1,Ann\n")
    crm.deliver(1, "id,name\n1,Ann\n", "customers (1).csv")
    report = crm.load(1)
    assert (report.files, report.records, report.problems) == (2, 1, [])
    assert not crm.load(1).loaded_now


def test_a_file_that_is_only_touched_is_not_loaded_again(tmp_path):
    crm = Crm(tmp_path)
    file = crm.deliver(1, "id,name\n1,Ann\n")
    crm.load(1)
    os.utime(file, (1, 1))
    assert not crm.load(1).loaded_now


@pytest.mark.parametrize(("days", "missing"), [("daily", [7, 8, 10]), ("weekdays", [10]), ("irregular", [])])
def test_days_on_which_nothing_came_are_named_as_the_source_says_what_to_expect(tmp_path, days, missing):
    crm = Crm(tmp_path, days=days)
    for day in (5, 6, 9, 11):  # the 7th and 8th are a weekend
        crm.deliver(day, "id,name\n1,Ann\n")
    assert crm.load(11).missing_days == [date(2026, 11, day) for day in missing]


def test_old_days_leave_raw_after_the_days_to_keep_but_never_what_today_is_made_of(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_QUALITY_KEEP_RAW_DAYS", "2")
    crm = Crm(tmp_path, INCREMENTS)
    for day, name in (
        (1, "customers.csv"),
        (2, "customers.csv"),
        (3, "customers_delta.csv"),
        (9, "customers_delta.csv"),
    ):
        crm.deliver(day, f"id,name\n{day},x\n", name)
        crm.load(day)
    days = crm.con.sql("select distinct day(_extract_date) from raw.crm__customer order by all").fetchall()
    assert days == [(2,), (3,), (9,)]


def test_a_folder_without_its_mark_of_completion_is_not_read(tmp_path):
    crm = Crm(tmp_path, done="_SUCCESS")
    crm.deliver(1, "id,name\n1,Ann\n")
    (problem,) = crm.load(1).problems
    assert "_SUCCESS" in problem
    assert "not complete" in problem
    crm.deliver(1, "", "_SUCCESS")
    assert crm.load(1).problems == []


def test_a_file_that_grows_after_it_was_loaded_is_found_before_the_publish(tmp_path):
    crm = Crm(tmp_path)
    file = crm.deliver(1, "id,name\n1,Ann\n")
    crm.load(1)
    day = date(2026, 11, 1)
    assert changed_since_loaded(crm.con, crm.project, [crm.source], day) == []
    with file.open("a") as stream:
        stream.write("2,Bob\n")
    assert changed_since_loaded(crm.con, crm.project, [crm.source], day) == ["in/2026-11-01/customers.csv"]


def test_a_file_that_was_only_touched_or_copied_is_not_loaded_again_and_not_still_arriving(tmp_path):
    crm = Crm(tmp_path)
    file = crm.deliver(1, "id,name\n1,Ann\n")
    crm.load(1)
    os.utime(file, (1_800_000_000, 1_800_000_000))
    assert not crm.load(1).loaded_now
    assert changed_since_loaded(crm.con, crm.project, [crm.source], date(2026, 11, 1)) == []


def rows(count: int, born: str = "1990-01-31", note: str = "x") -> str:
    return "".join(f"{n},Ann,{born},{note}\n" for n in range(count))


def test_new_and_lost_columns_other_contents_and_volume_are_drift_in_plain_words(tmp_path):
    crm = Crm(tmp_path)
    crm.deliver(1, "id,name,born,note\n" + rows(100))
    assert crm.load(1).drift == []
    crm.deliver(2, "id,name,born,notes\n" + rows(300, born="n/a"))
    drift = crm.load(2).drift
    assert drift == [
        "column 'notes' is new since 2026-11-01; it is kept in raw and mapped to nothing",
        "column 'note' was there on 2026-11-01 and is gone; 'notes' is new and looks like it",
        "column 'born' held date on 2026-11-01 and holds text now",
        "300 records, against 100 on the last 1 day(s) with a snapshot",
    ]
    kinds = crm.con.sql("select kind, column_name from raw.extract_drift order by kind").fetchall()
    assert kinds == [("column_gone", "note"), ("new_column", "notes"), ("type", "born"), ("volume", None)]
    assert crm.con.sql("select count(notes) from raw.crm__customer").fetchone() == (300,)
    assert crm.load(2).drift == drift  # the same word again when nothing was loaded


def test_a_column_that_runs_empty_is_drift_and_a_steady_extract_is_not(tmp_path):
    crm = Crm(tmp_path)
    crm.deliver(1, "id,name,born,note\n" + rows(100))
    crm.load(1)
    crm.deliver(2, "id,name,born,note\n" + rows(110, note=""))
    assert crm.load(2).drift == ["column 'note' was filled in 100% of the lines on 2026-11-01, now in 0%"]
    crm.deliver(3, "id,name,born,note\n" + rows(108, note=""))
    assert crm.load(3).drift == []


def test_an_object_without_its_ids_stops_and_says_so(tmp_path):
    crm = Crm(tmp_path)
    crm.deliver(1, "ids,name\n1,Ann\n")
    (problem,) = crm.load(1).problems
    assert "column 'id' (party.source_id) is missing; the closest header is 'ids'" in problem
    assert "nothing of this object is used" in problem
    assert crm.state(1) == []
    assert crm.con.sql("select count(*) from raw.crm__customer").fetchone() == (1,)
