"""What is decided and taken back, what goes out to the source systems, and who is forgotten: each with the run after it."""

import csv
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from crm_quality import decisions
from crm_quality.decisions import Decision
from crm_quality.errors import CrmQualityError
from crm_quality.forget.run import Proof, forget
from crm_quality.ingest.suppression import KEY
from crm_quality.project import open_project
from crm_quality.sources.layout import load_sources
from crm_quality.writeback.files import Told, write_back
from tests.end_to_end.conftest import Ran, run
from tests.pipeline import run_tables

SECRET = "a secret of the data protection officer"
# Logs of what happened are not undone; run ids differ from run to run, and hygiene needs the checks that are left out here.
LOGS = ("golden.customer_id_event", "golden.customer_redirect")

Rows = dict[str, list[tuple[Any, ...]]]


def query(folder: Path, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(open_project(folder).golden.resolve()), read_only=True) as con:
        return con.execute(sql, parameters or []).fetchall()


def golden_and_marts(folder: Path) -> Rows:
    found = {}
    tables = query(
        folder,
        "select schema_name, table_name from duckdb_tables() where schema_name in ('golden', 'marts') order by all",
    )
    for schema, name in tables:
        if f"{schema}.{name}" not in LOGS:
            found[f"{schema}.{name}"] = query(
                folder, f"select columns(c -> c not in ('run_id', 'hygiene')) from {schema}.{name} order by all"
            )
    return found


@dataclass
class Story:
    """One project over three more runs, and what was seen on the way."""

    folder: Path
    before: Rows
    pairs: list[tuple[decisions.Key, decisions.Key]] = field(default_factory=list)
    ids_when_merged: dict[decisions.Key, str] = field(default_factory=dict)
    told_when_merged: dict[str, Told] = field(default_factory=dict)
    merged: Rows = field(default_factory=dict)
    unmerged: Rows = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    person: dict[str, Any] = field(default_factory=dict)
    proof: Proof | None = None
    after_forgetting: Rows = field(default_factory=dict)
    night_after: Ran | None = None


@pytest.fixture(scope="module")
def story(sample: Ran, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("story") / "project"
    shutil.copytree(sample.project.folder, folder, symlinks=True)
    with (folder / "crm_quality.yaml").open("a", encoding="utf-8") as settings:
        settings.write("keep_versions: 2\n")
    log = open_project(folder).decisions
    told = Story(folder, golden_and_marts(folder))

    # Strangers are merged, with all that hangs on them, and a field is set to what no spreadsheet should see.
    told.pairs = strangers(folder)
    for left, right in told.pairs:
        decisions.append(log, Decision("must_link", "wang", "the same, I thought", left, right))
    person = query(
        folder,
        """select source_system, source_object, source_id from golden.customer_xref
        inner join golden.customer using (customer_id)
        where record_count = 1 and source_object = 'Contact' and email is not null and ghost_verdict = 'real'
        order by source_id limit 1""",
    )[0]
    override = Decision("field_override", "wang", "as she said", person, field="email", value="=1+1")
    decisions.append(log, override)
    run_tables(folder)
    told.ids_when_merged = {
        (system, name, source_id): customer_id
        for customer_id, system, name, source_id in query(
            folder, "select customer_id, source_system, source_object, source_id from golden.customer_xref"
        )
    }
    told.merged = golden_and_marts(folder)
    told.told_when_merged = {one.source: one for one in write_back(open_project(folder), None)}

    for number in range(1, len(told.pairs) + 2):
        decisions.append(log, Decision("undo", "wang", "they are not", undoes=number))
    run_tables(folder)
    told.unmerged = golden_and_marts(folder)

    told.told = {one.source: one for one in write_back(open_project(folder), folder / "writeback")}
    return told


def strangers(folder: Path) -> list[tuple[decisions.Key, decisions.Key]]:
    """Pairs of customers of the same kind who have nothing in common, the busiest first: persons and organisations."""
    rows = query(
        folder,
        """select party_type, source_system, source_object, source_id from golden.customer_xref
        inner join golden.customer using (customer_id)
        inner join (
            select customer_id, count(distinct child) as kinds, count(*) as children from golden.customer_child group by all
        ) using (customer_id)
        where ghost_verdict <> 'ghost'
        qualify row_number() over (partition by customer_id order by source_system, source_object, source_id) = 1
        order by kinds desc, children desc, source_system, source_object, source_id""",
    )
    pairs = []
    for party_type in ("person", "organisation"):
        keys = [tuple(key) for kind, *key in rows if kind == party_type][:6]
        pairs += list(zip(keys[::2], keys[1::2], strict=True))
    return pairs


def test_a_merge_by_a_steward_makes_one_customer_of_each_pair(story: Story):
    assert len(story.pairs) == 6
    for left, right in story.pairs:
        assert story.ids_when_merged[left] == story.ids_when_merged[right]


def test_an_unmerge_restores_every_golden_and_marts_row_as_if_the_merge_had_never_been(story: Story):
    assert set(story.unmerged) == set(story.before)
    assert [name for name, rows in story.before.items() if rows != story.unmerged[name]] == []


def test_a_merge_had_changed_every_table_that_tells_customers_apart(story: Story):
    # what is told of products, models, sales reps and services does not ask who a customer is; few refer others or answer
    indifferent = {
        "marts.contract_churn", "marts.product_affinity", "marts.sales_funnel", "marts.sales_rep", "marts.service_level",
        "marts.model_backtest", "marts.product_recommendation", "marts.referral", "marts.satisfaction",
    }  # fmt: skip
    assert {name for name, rows in story.before.items() if rows == story.merged[name]} <= indifferent


def test_a_steward_s_value_that_a_spreadsheet_would_take_for_a_formula_is_held_back(story: Story):
    assert not [
        change
        for told in story.told_when_merged.values()
        for changes in told.rows.values()
        for change in changes
        if (change.new or "").startswith("=")
    ]
    reasons = [reason for told in story.told_when_merged.values() for reason in told.held_back]
    assert "correction: a spreadsheet would take the value for a formula" in reasons


def test_update_files_have_the_system_s_own_headers_encoding_and_delimiter(story: Story):
    for source in load_sources(open_project(story.folder)):
        for name in story.told[source.name].rows:
            shape = source.format_of(name)
            file = story.folder / "writeback" / source.name / f"{name}.update.csv"
            if not file.exists():
                continue
            extract = next((story.folder / "extracts" / source.name).rglob(source.objects[name].files[0]))
            headers = next(csv.reader(extract.open(encoding=shape.encoding), delimiter=shape.delimiter))
            rows = list(csv.reader(file.open(encoding=shape.encoding, newline=""), delimiter=shape.delimiter))
            assert set(rows[0]) <= set(headers)
            assert len(rows) > 1


def test_the_workbook_shows_every_change_with_its_reason(story: Story):
    for source, told in story.told.items():
        sheet = openpyxl.load_workbook(story.folder / "writeback" / source / "changes.xlsx").active
        shown = list(sheet.iter_rows(min_row=2, values_only=True))
        expected = [
            (change.action, name, change.source_id) for name, changes in told.rows.items() for change in changes
        ]
        assert [tuple(row[:3]) for row in shown] == expected
        assert all(row[7] for row in shown if row[0] == "correct")
        assert any("correct" in line for line in told.lines())


def test_merges_name_a_survivor_that_is_not_a_duplicate_itself(story: Story):
    merges = 0
    for told in story.told.values():
        for changes in told.rows.values():
            duplicates = {change.source_id for change in changes if change.action == "merge"}
            survivors = {change.new for change in changes if change.action == "merge"}
            corrected = {change.source_id for change in changes if change.action == "correct"}
            merges += len(duplicates)
            assert not duplicates & survivors
            assert not duplicates & corrected
    assert merges > 10


@pytest.fixture(scope="module")
def returned(story: Story) -> Story:
    """The corrections are brought into the extracts, a person is forgotten, and the next run reads both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY, SECRET)
        story.person = _busy_person(story.folder)
        story.proof = forget(open_project(story.folder), story.person["record"], "dpo", "request 17", dry_run=False)
        story.after_forgetting = golden_and_marts(story.folder)
        _apply(story)
        for day in (story.folder / "extracts").glob("*/2026-11-21"):
            shutil.copytree(day, day.with_name("2026-11-22"))
        story.night_after = run(story.folder)
    return story


def _busy_person(folder: Path) -> dict[str, Any]:
    """A person whom several systems know, with orders, and whose address or phone somebody else shares if possible."""
    customer_id, name, email = query(
        folder,
        """select customer_id, display_name, email from golden.customer
        inner join (select customer_id, count(*) as children from golden.customer_child group by all) using (customer_id)
        where party_type = 'person' and record_count > 2 and email is not null and length(display_name) > 2
        order by children desc, customer_id limit 1""",
    )[0]
    keys = query(
        folder,
        "select source_system, source_object, source_id from golden.customer_xref where customer_id = ? order by all",
        [customer_id],
    )
    children = query(
        folder, "select distinct source_id from golden.customer_child where customer_id = ?", [customer_id]
    )
    return {
        "id": customer_id, "name": name, "email": email, "keys": keys, "record": "/".join(keys[0]),
        "children": [source_id for (source_id,) in children],
    }  # fmt: skip


def _apply(story: Story) -> None:
    """Bring the update files into the extracts, as an import would; duplicates stay, as nobody merged them yet."""
    for source in load_sources(open_project(story.folder)):
        for name in story.told[source.name].rows:
            file = story.folder / "writeback" / source.name / f"{name}.update.csv"
            if not file.exists():
                continue
            shape = source.format_of(name)
            extract = next((story.folder / "extracts" / source.name).rglob(source.objects[name].files[0]))
            with file.open(encoding=shape.encoding, newline="") as stream:
                updates = {row[next(iter(row))]: row for row in csv.DictReader(stream, delimiter=shape.delimiter)}
            with extract.open(encoding=shape.encoding, newline="") as stream:
                rows = list(csv.DictReader(stream, delimiter=shape.delimiter))
            with extract.open("w", encoding=shape.encoding, newline="") as stream:
                writer = csv.DictWriter(stream, list(rows[0]), delimiter=shape.delimiter)
                writer.writeheader()
                key = next(iter(next(iter(updates.values()))))
                writer.writerows(row | updates.get(row[key], {}) for row in rows)


def test_what_was_corrected_is_no_longer_different_in_the_next_run(returned: Story):
    corrected = {
        (told.source, name, change.source_id, change.field)
        for told in returned.told.values()
        for name, changes in told.rows.items()
        for change in changes
        if change.action == "correct"
    }
    again = {
        (told.source, name, change.source_id, change.field)
        for told in write_back(open_project(returned.folder), None)
        for name, changes in told.rows.items()
        for change in changes
        if change.action == "correct"
    }
    assert len(corrected) > 50
    assert sorted(corrected & again) == []


def test_a_forgotten_person_stands_in_no_file_of_the_project(returned: Story):
    assert returned.proof
    assert returned.proof.still_found_in == []
    person = returned.person
    texts = [person["email"], person["id"], *(key[2] for key in person["keys"]), *person["children"]]
    assert len(person["children"]) > 10
    # Not as part of another number: Dagster logs durations to sixteen digits.
    pattern = re.compile(b"(?<![0-9.])(" + b"|".join(re.escape(text.encode()) for text in texts) + b")(?![0-9])")
    users = ("extracts", "truth", "writeback")
    for file in returned.folder.rglob("*"):
        if file.is_file() and file.relative_to(returned.folder).parts[0] not in users:
            assert not pattern.search(file.read_bytes()), file
    for key in returned.person["keys"]:
        found = query(
            returned.folder,
            "select 1 from core.party where (source_system, source_object, source_id) = (?, ?, ?)",
            list(key),
        )
        assert found == []


def test_forgetting_one_person_leaves_the_rows_of_all_others_as_they_were(returned: Story):
    for name, rows in returned.after_forgetting.items():
        before = returned.unmerged[name]
        left, gone = set(map(str, rows)), set(map(str, before)) - set(map(str, rows))
        assert left <= set(map(str, before)), name
        assert all(returned.person["id"] in row for row in gone), name
    assert len(returned.unmerged["golden.customer"]) - len(returned.after_forgetting["golden.customer"]) == 1


def test_the_next_night_is_published_and_does_not_bring_a_forgotten_person_back(returned: Story):
    assert returned.night_after
    assert (returned.night_after.outcome.published, returned.night_after.outcome.problems) == (True, [])
    assert query(returned.folder, "select max(extract_date)::varchar from meta.run") == [("2026-11-22",)]
    known = {customer_id for customer_id, *_ in returned.after_forgetting["golden.customer"]}
    found = {customer_id for (customer_id,) in query(returned.folder, "select customer_id from golden.customer")}
    # what was corrected may have joined a few
    assert len(known - found) < 0.02 * len(known)
    assert returned.person["id"] not in found
    emails = query(returned.folder, "select count(*) from core.party where email = ?", [returned.person["email"]])
    assert emails == [(0,)]
    with duckdb.connect(str(open_project(returned.folder).warehouse), read_only=True) as con:
        (suppressed,) = con.execute("select sum(suppressed) from meta.loaded_file").fetchone() or (0,)
    assert suppressed >= len(returned.person["keys"])


def test_the_proof_names_nobody_but_says_where_the_extracts_still_hold_the_person(returned: Story):
    proof = next((returned.folder / "forgotten").glob("*.json")).read_text(encoding="utf-8")
    texts = [returned.person["name"], returned.person["email"], returned.person["id"]]
    assert not [text for text in texts if text in proof]
    files = json.loads(proof)["your_files_that_still_hold_the_person"]
    assert len([file for file in files if file.startswith("extracts/")]) >= len(
        {key[1] for key in returned.person["keys"]}
    )


def test_without_its_key_a_suppression_list_stops_the_run(returned: Story, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KEY, "another secret of somebody else")
    with pytest.raises(CrmQualityError, match="forgotten people would come back"):
        run_tables(returned.folder)
