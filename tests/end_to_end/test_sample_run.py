"""The nightly run on the sample company: what is published, that it repeats, and what stops it."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from crm_quality.project import open_project
from crm_quality.quality.audit import Verdict
from crm_quality.quality.audit_accuracy import estimate
from crm_quality.quality.audit_draw import draw
from crm_quality.sample import generate
from crm_quality.sources.layout import layouts
from crm_quality.sql_model import load_models
from crm_quality.summary import print_summary
from tests.end_to_end.conftest import Ran, run

CONTRACT = {
    "golden.customer": "customer_id, party_type, display_name, given_name, family_name, company_name, birth_date, tax_id, email, phone, street, city, region, postal_code, country, source_systems, record_count, completeness, quality_score, ghost_verdict, first_seen_at, last_activity_at",
    "golden.customer_xref": "customer_id, source_system, source_object, source_id, match_probability, match_reason",
    "golden.customer_lineage": "customer_id, field, value, source_system, source_object, source_id, rule",
    "golden.customer_id_event": "event_id, run_id, event, customer_id, into_customer_id, happened_at",
    "golden.customer_history": "customer_id, display_name, valid_from, valid_to",
    "marts.customer_value": "customer_id, as_of_date, frequency, recency_days, tenure_days, monetary_value, probability_alive, expected_purchases_12m, expected_order_value, clv_12m, currency, model_version",
    "marts.churn_risk": "customer_id, as_of_date, churn_probability, risk_band, top_reasons, suggested_action",
    "quality.check_result": "run_id, check_id, table_name, column_name, expectation, dimension, severity, success, evaluated_rows, failed_rows, checked_at",
    "quality.failure": "run_id, check_id, source_system, source_object, source_id, column_name",
    "quality.dimension_score": "run_id, source_system, table_name, dimension, score, checked_at",
    "quality.reconciliation_difference": "run_id, difference_id, kind, customer_id, crm_source_id, erp_source_id, field, crm_value, erp_value, amount_difference, first_found_at, status",
    "quality.ghost_verdict": "source_system, source_object, source_id, verdict, score, reasons",
    "quality.rejected_line": "file, line, reason",
    "quality.quarantine": "source_system, source_object, source_id, file, line, table_name, reason",
    "identity.review_queue": "pair_id, match_probability, reasons, status",
    "meta.run": "run_id, extract_date, started_at, finished_at, status, rows_read, rows_rejected, rows_quarantined, customers, code_version, model_version",
}

# What differs between two runs of the same data by its nature: which run it was, when, and the line in a file.
BY_RUN = {"run_id", "checked_at", "event_id", "line", "file", "finished_at", "content", "first_run_id", "last_run_id"}


def published(ran: Ran) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(ran.project.golden), read_only=True)


def content(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    """Every published table without what differs by run, as sorted rows."""
    tables = con.sql(
        # Like meta, identity.pair_run says how a run came by its result.
        "select schema_name, table_name from duckdb_tables() "
        "where schema_name <> 'meta' and table_name <> 'pair_run' order by all"
    ).fetchall()
    found = {}
    for schema, table in tables:
        columns = [c for c, *_ in con.sql(f"describe {schema}.{table}").fetchall() if c not in BY_RUN]
        chosen = ", ".join(f'"{column}"' for column in columns)
        found[f"{schema}.{table}"] = con.sql(f"select {chosen} from {schema}.{table} order by all").fetchall()
    return found


def test_every_published_table_and_column_says_what_it_is(sample):
    with published(sample) as con:
        silent = con.sql(
            "select schema_name, table_name, null from duckdb_tables() where comment is null union all"
            " select schema_name, table_name, column_name from duckdb_columns() where comment is null and not internal"
        ).fetchall()
    assert silent == []


def test_a_first_run_publishes_every_table_of_the_contract_with_rows(sample):
    assert sample.outcome.problems == []
    assert sample.outcome.published
    with published(sample) as con:
        for table, columns in CONTRACT.items():
            con.sql(f"select {columns} from {table}")
        # So small a company may leave nothing to reject or to doubt.
        for table in set(CONTRACT) - {"quality.rejected_line", "identity.review_queue"}:
            assert con.execute(f"select count(*) from {table}").fetchone() != (0,), table
    assert (sample.project.published / "data_docs" / "index.html").is_file()


def test_a_difference_a_task_and_a_finding_of_a_row_stand_once(sample):
    keys = {
        "reconciliation_difference": "difference_id",
        "worklist": "task_id",
        "failure_history": "(check_id, table_name, source_system, source_object, source_id, column_name)",
        "ghost_verdict": "(source_system, source_object, source_id)",
    }
    with published(sample) as con:
        for table, key in keys.items():
            rows, different = con.execute(f"select count(*), count(distinct {key}) from quality.{table}").fetchone()
            assert rows == different > 0, table


def test_no_model_compares_every_row_of_one_table_with_every_row_of_another(sample):
    """A constant in the condition of an outer join makes DuckDB forget that the rest of it are equalities."""
    slow = []

    def look(model: str, step: dict[str, Any]) -> None:
        condition = re.sub(r"'[^']*'", "", str(step["extra_info"].get("Condition", "")))
        if step["name"] == "BLOCKWISE_NL_JOIN" and re.search(r"\w = \w", condition):
            slow.append((model, condition))
        for below in step["children"]:
            look(model, below)

    with duckdb.connect(str(sample.project.warehouse), read_only=True) as con:
        for model in load_models():
            ((_, plan),) = con.execute(f"explain (format json) {model.sql}").fetchall()
            for step in json.loads(plan):
                look(model.name, step)
    assert slow == []


def test_every_record_belongs_to_one_customer_and_every_line_is_accounted_for(sample):
    with published(sample) as con:
        assert (
            con.sql(
                "select count(*), count(distinct (source_system, source_object, source_id)) from golden.customer_xref"
            ).fetchone()
            == con.sql("select count(*), count(*) from core.party").fetchone()
        )
        unsound = "check_id like '%extract_is_usable' and not success"
        assert con.sql(f"select check_id from quality.check_result where {unsound}").fetchall() == []


def test_every_golden_value_can_be_traced_to_a_record_that_holds_it(sample):
    with published(sample) as con:
        untraced = con.sql(
            """
            select customer.customer_id from golden.customer as customer
            left join golden.customer_lineage as lineage
                on lineage.customer_id = customer.customer_id and lineage.field = 'email'
            where customer.email is distinct from lineage.value
            """
        ).fetchall()
        assert untraced == []
        orphans = con.sql(
            "select * from golden.customer_lineage anti join golden.customer_xref "
            "using (customer_id, source_system, source_object, source_id) where source_id is not null"
        ).fetchall()
        assert orphans == []


def test_the_identity_is_near_the_truth(sample):
    from crm_quality.evaluate import evaluate

    found = evaluate(sample.project.golden, sample.project.folder / "truth" / "entity.csv").overall
    assert found.pairwise_precision > 0.97
    assert found.pairwise_recall > 0.9


def test_an_audit_by_people_who_know_the_truth_estimates_it_within_its_interval(sample):
    golden, truth = sample.project.golden, sample.project.folder / "truth"
    with duckdb.connect(str(golden), read_only=True) as con:
        untrue = set(
            con.execute(
                f"""
                select source_system, source_object, source_id, "column" from read_csv('{truth}/damage.csv', all_varchar = true)
                where "table" = 'party' and kind in ('typo', 'invalid_email', 'invalid_phone', 'old_phone', 'old_address',
                    'placeholder', 'impossible_date', 'invalid_check_digit')
                """
            ).fetchall()
        )
        invented = set(
            con.execute(
                f"select source_system, source_object, source_id from read_csv('{truth}/ghost.csv', all_varchar = true)"
            ).fetchall()
        )

    def judged(audit):
        wrong = {item.item for item in audit.items if item.key in invented or (*item.key, item.field) in untrue}
        said = ("wrong" if item.item in wrong else "right" for item in audit.items)
        verdicts = tuple(Verdict(number, verdict, None, None, "li", "") for number, verdict in enumerate(said, start=1))
        return replace(audit, verdicts=verdicts)

    whole = {found.field: found.accuracy for found in estimate(judged(draw(golden, "core.party", 10**6)))}
    assert whole["all"] < 0.98
    covered = []
    for day in range(1, 13):
        for found in estimate(judged(draw(golden, "core.party", 100, date(2026, 1, day)))):
            covered.append(found.low <= whole[found.field] <= found.high)
            assert found.field != "all" or (covered[-1] and found.high - found.low < 0.12)
    assert sum(covered) / len(covered) >= 0.95


def test_no_personal_value_stands_in_the_data_docs(sample):
    with published(sample) as con:
        values = con.sql(
            "select email_raw from core.party where email_raw is not null "
            "union select phone_raw from core.party where length(phone_raw) > 6 "
            "union select full_name from core.party where length(full_name) > 5"
        ).fetchall()
    pages = "\n".join(
        page.read_text(encoding="utf-8") for page in (sample.project.published / "data_docs").rglob("*.html")
    )
    assert [value for (value,) in values if value in pages] == []


def records(data: bytes) -> list[bytes]:
    """The lines of a file, those that a line break in quotes divides put together again."""
    whole: list[bytes] = []
    for line in data.splitlines(keepends=True):
        if whole and whole[-1].count(b'"') % 2:
            whole[-1] += line
        else:
            whole.append(line)
    return whole


def test_the_same_extracts_in_any_row_order_publish_the_same_tables(sample, copy_of_sample, tmp_path):
    folder = copy_of_sample()
    again = run(folder)
    assert again.outcome.published
    with published(sample) as first, published(again) as second:
        expected = content(first)
        found = content(second)
    assert {table for table in expected if found[table] != expected[table]} == set()

    shuffled = tmp_path / "shuffled"
    (shuffled / "models").mkdir(parents=True)
    for name in ("crm_quality.yaml", "sources", "extracts"):
        subprocess.run(["cp", "-r", str(folder / name), str(shuffled / name)], check=True)
    order = random.Random(7)
    for file in sorted((shuffled / "extracts").rglob("*.csv")):
        header, *lines = records(file.read_bytes())
        order.shuffle(lines)
        file.write_bytes(header + b"".join(lines))
    anew = run(shuffled)
    assert anew.outcome.published
    with published(anew) as third:
        found = content(third)
    assert {table for table in expected if found[table] != expected[table]} == set()


def spoil(folder: Path, name: str, change: Callable[[bytes], bytes | None]) -> bytes:
    """Damage one file of the Salesforce extract (None removes it); returns what it held."""
    (file,) = folder.glob(f"extracts/salesforce/*/{name}.csv")
    data = file.read_bytes()
    spoilt = change(data)
    file.unlink() if spoilt is None else file.write_bytes(spoilt)
    return data


def test_the_summary_tells_of_extracts_that_look_wrong_though_they_are_published(copy_of_sample):
    project = open_project(copy_of_sample())
    with duckdb.connect(str(project.warehouse)) as con:
        (run_id,) = con.sql("select run_id from meta.run").fetchone() or ("",)
        con.execute(
            "update quality.check_result set success = false, error = 'Account.csv has a new column [x]'"
            " where check_id = 'raw_salesforce__account__like_the_days_before'"
        )
    screen = Console(record=True, width=200)
    print_summary(project, run_id, screen)
    told = [line for line in screen.export_text().splitlines() if line.startswith("Look at")]
    assert told == ["Look at      Account.csv has a new column [x]"]


def test_broken_files_are_named_the_other_sources_are_loaded_and_nothing_is_published(sample, copy_of_sample):
    folder = copy_of_sample()
    before = (folder / "published" / "golden.duckdb").resolve()
    spoil(folder, "Contact", lambda _: None)
    spoil(folder, "Opportunity", lambda _: b"")
    spoil(folder, "Lead", lambda data: data.replace(b"Email", b"E-Mail Adresse", 1))
    spoil(folder, "Task", lambda data: data[: len(data) * 2 // 3].rstrip(b"\n")[:-12])
    accounts = spoil(folder, "Account", lambda data: data.decode("utf-8").encode("gb18030"))
    broken = run(folder)

    assert not broken.outcome.published
    assert broken.project.golden.resolve() == before
    assert (broken.project.published / "data_docs").resolve().name == before.stem.replace("golden", "data_docs")
    message = "\n".join(broken.outcome.problems)
    assert message.startswith("Not published: ")
    for name, told in {
        "contact": ["Contact.*", "no file"],
        "opportunity": ["Opportunity.csv", "empty"],
        "lead": ["Lead.csv", "line 1", "'Email'", "E-Mail Adresse"],
        "task": ["Task.csv", "line ", "column ", "cut off"],
    }.items():
        assert f"raw_salesforce__{name}__extract_is_usable" in message
        for part in told:
            assert part in message, message
    with duckdb.connect(str(broken.project.warehouse), read_only=True) as con:
        loaded = dict(con.sql("select source_system, count(*) from core.party group by all").fetchall())
        assert loaded.keys() == {"salesforce", "fxiaoke", "sap"}
        assert con.sql("select status from meta.run order by started_at desc limit 1").fetchone() == ("failed",)
        rejected = con.sql(
            "select line, column_name, reason from quality.rejected_line where file like '%Account.csv'"
        ).fetchall()
    chinese = sum(any(byte > 127 for byte in line) for line in records(accounts))
    assert len(rejected) == chinese
    assert all(line > 1 and column and "utf-8" in reason for line, column, reason in rejected)


READER = """
import sys, time, duckdb
from pathlib import Path
path, stop = sys.argv[1], Path(sys.argv[2])
seen = set()
while not stop.exists():
    with duckdb.connect(path, read_only=True) as con:
        runs, failing, checked, customers, known = con.sql('''
            select (select arg_max(run_id, finished_at) from meta.run where status = 'published'),
                (select list(distinct run_id) from quality.failure),
                (select list(distinct run_id) from quality.check_result),
                (select count(*) from golden.customer), (select count(distinct customer_id) from golden.customer_xref)
            ''').fetchone()
        assert failing == checked == [runs] and customers == known > 0, (runs, failing, checked, customers, known)
        seen.add(runs)
    time.sleep(3)
print(len(seen))
"""

KILLED = """
import os, signal, sys
from crm_quality.assets import pipeline
from crm_quality.cli import main
from crm_quality.publish import versions
from crm_quality.sql_model import SqlModel

def die_at(owner, name, when):
    real = getattr(owner, name)
    def dying(*args):
        if when(*args):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)
    setattr(owner, name, dying)

step = sys.argv[2]
die_at(pipeline, "build_staging", lambda con, sources, name, day: f"staging.{name}" == step)
die_at(SqlModel, "build", lambda model, con: model.name == step)
for name in ("_read_back", "_swap"):
    die_at(versions, name, lambda *args, name=name: name == step)
main(["run", "--project", sys.argv[1]])
"""


def test_readers_see_whole_versions_only_while_runs_are_killed_and_one_succeeds(sample, copy_of_sample, tmp_path):
    folder = copy_of_sample()
    golden = folder / "published" / "golden.duckdb"
    before = golden.resolve()
    stop = tmp_path / "stop"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(golden), str(stop)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    try:
        for step in ("staging.party", "golden.customer", "_swap"):
            killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), step], capture_output=True, check=False)
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            assert golden.resolve() == before
        ran = run(folder)
        assert ran.outcome.published
        assert golden.resolve() != before
        time.sleep(2)
    finally:
        stop.touch()
        ended = [(*reader.communicate(), reader.returncode) for reader in readers]
    assert {(error, code) for _, error, code in ended} == {("", 0)}
    assert max(int(seen) for seen, _, _ in ended) == 2
    with published(ran) as con:
        states = {state for (state,) in con.sql("select distinct status from meta.run").fetchall()}
    assert states == {"published", "interrupted"}


def test_the_exports_of_the_other_systems_with_broken_lines_are_published_and_each_line_is_shown(tmp_path):
    folder = tmp_path / "dirty"
    systems = [name for name in layouts() if name not in ("salesforce", "fxiaoke", "sap") and "generic" not in name]
    generate(folder, customers=80, seed=6, layouts=systems)
    with (next(folder.glob("extracts/netsuite/*/transactionline.csv"))).open("a") as lines:
        lines.write("one,field,too,few\n")
        lines.write(",".join(["x"] * 40) + "\n")
    ran = run(folder)
    assert ran.outcome.problems == []
    with published(ran) as con:
        per_file = "select count(*) from quality.rejected_line where file like '%/transactionline.csv'"
        (rejected,) = con.sql(per_file).fetchone() or (0,)
        known = con.sql("select source_system from golden.customer_xref group by 1 order by 1").fetchall()
        (whole,) = con.sql("select count(*) from golden.customer where len(source_systems) >= 3").fetchone() or (0,)
    assert rejected >= 2
    assert [system for (system,) in known] == systems
    assert whole > 40  # a customer is in all CRMs or in all ERPs
