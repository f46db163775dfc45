"""Suites are read, and refused with an error that names the culprit. Does not belong here: running them."""

import json
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_quality.errors import CrmQualityError
from crm_quality.project import Project, open_project
from crm_quality.quality.suites import DIMENSIONS, Check, Suite, load_suites, project_suites, read_suite
from crm_quality.sources.layout import canonical
from crm_quality.sql_model import load_models, tables_read
from crm_quality.warehouse import literal

SUITES = load_suites()
CHECKS = [check for suite in SUITES.values() for check in suite.checks]


def suite_file(folder: Path, **changes: Any) -> Path:
    """A suite of one expectation, with some of its keys changed ('meta.owner' style, None removes)."""
    entry: dict[str, Any] = {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "email"},
        "severity": "warning",
        "meta": {"check": "email_present", "dimension": "completeness", "owner": "sales", "why": "Because."},
    }
    for path, value in changes.items():
        *parents, key = path.split("__")
        target = entry
        for parent in parents:
            target = target[parent]
        if value is None:
            del target[key]
        else:
            target[key] = value
    file = folder / "core.party.json"
    file.write_text(json.dumps({"name": "core.party", "expectations": [entry]}), encoding="utf-8")
    return file


def test_check_ids_are_unique_and_fit_dagster() -> None:
    assert [name for name, count in Counter(check.check_id for check in CHECKS).items() if count > 1] == []
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", check.check_id) for check in CHECKS)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_dimension_is_checked_on_customers_and_on_money(dimension: str) -> None:
    for table in ("core.party", "core.opportunity", "core.sales_order", "golden.customer"):
        assert any(check.dimension == dimension for check in SUITES[table].checks), table


def test_dirt_in_the_sources_never_blocks_a_publish() -> None:
    critical = {c.name for c in CHECKS if c.table.startswith("core.") and c.severity == "critical"}
    assert critical == {"key_present", "key_unique", "party_type_known", "party_type_present"}


def test_every_check_says_why_and_who() -> None:
    assert all(check.why.endswith(".") and check.description.endswith(".") and check.owner for check in CHECKS)


def test_a_check_asks_only_for_columns_that_a_source_can_map() -> None:
    for check in CHECKS:
        if check.table.startswith("core."):
            known = set(canonical()[check.table.removeprefix("core.")].columns)
        else:
            known = {f"{name}.{column}" for name, shape in canonical().items() for column in shape.columns}
        assert {column for need in check.needs for column in need} <= known, check.check_id


def test_the_checks_of_a_table_never_wait_for_a_table_that_waits_for_it() -> None:
    """Checks run as soon as their table is built: what else they read must be built before."""
    graph: dict[str, set[str]] = {}
    for model in load_models():
        graph[model.name] = {f"{schema}.{table}" for schema, table in model.reads}
    for suite in SUITES.values():
        for check in suite.checks:
            query = check.kwargs.get("unexpected_rows_query", "select 1").replace("{batch}", suite.table)
            read = {f"{schema}.{table}" for schema, table in tables_read(query)}
            graph.setdefault(suite.table, set()).update(read - {suite.table})
    assert list(TopologicalSorter(graph).static_order())


def test_great_expectations_accepts_every_expectation() -> None:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    for check in CHECKS:
        ExpectationConfiguration(type=check.expectation, kwargs=dict(check.kwargs)).to_domain_obj()


def test_reading_the_suites_does_not_import_great_expectations() -> None:
    code = (
        "import sys; from crm_quality.quality.suites import load_suites; load_suites();"
        " sys.exit('great_expectations' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"severity": "fatal"},
            r"expectation 1 \(email_present\): severity: found 'fatal'; allowed: critical",
        ),
        ({"meta__dimension": "beauty"}, "meta.dimension: found 'beauty'; allowed: completeness"),
        ({"meta__owner": None}, "meta.owner: is missing"),
        ({"meta__wy": "typo"}, "unknown key 'wy'; allowed: check, column"),
        ({"meta__check": "E-mail!"}, "meta.check: small letters, digits and _"),
        ({"type": "expect_nothing"}, "type: Great Expectations has no 'expect_nothing'"),
        ({"kwargs": None}, "kwargs: is missing"),
        ({"serverity": "info"}, "unknown key 'serverity'"),
        ({"kwargs__row_condition": "is_won"}, "kwargs.row_condition: not understood"),
        ({"type": "unexpected_rows_expectation"}, "kwargs.unexpected_rows_query: is missing"),
        (
            {
                "type": "unexpected_rows_expectation",
                "kwargs": {"unexpected_rows_query": "select 1 from {batch} where a like '[0-9]{6}'"},
            },
            "has the placeholders .*double every other brace",
        ),
    ],
)
def test_a_wrong_suite_is_refused_with_file_expectation_and_key(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(CrmQualityError, match=said) as refused:
        read_suite(suite_file(tmp_path, **changes))
    assert "core.party.json" in str(refused.value)


def test_a_suite_that_is_not_json_is_refused_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "core.party.json"
    file.write_text('{"name": "core.party",}', encoding="utf-8")
    with pytest.raises(CrmQualityError, match=r"core\.party\.json: is not readable as JSON: .*line 1"):
        read_suite(file)


def test_a_suite_named_unlike_its_file_is_refused(tmp_path: Path) -> None:
    file = suite_file(tmp_path)
    other = file.rename(tmp_path / "core.partner.json")
    with pytest.raises(CrmQualityError, match=r"name: found 'core\.party'"):
        read_suite(other)


def test_two_checks_of_one_name_are_refused(tmp_path: Path) -> None:
    file = suite_file(tmp_path)
    content = json.loads(file.read_text(encoding="utf-8"))
    content["expectations"] *= 2
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CrmQualityError, match="'email_present' is there more than once"):
        read_suite(file)


def test_a_column_check_needs_the_column_its_derived_column_is_made_from(tmp_path: Path) -> None:
    suite: Suite = read_suite(suite_file(tmp_path, kwargs__column="email_raw"))
    assert suite.checks[0].needs == (("email",),)
    assert suite.checks[0].check_id == "core_party__email_present"


def test_row_conditions_become_sql(tmp_path: Path) -> None:
    condition = {
        "type": "and",
        "conditions": [
            {"type": "comparison", "column": {"name": "is_won"}, "operator": "==", "parameter": True},
            {"type": "nullity", "column": {"name": "amount"}, "is_null": False},
            {"type": "comparison", "column": {"name": "stage"}, "operator": "IN", "parameter": ["a", "it's"]},
        ],
    }
    suite = read_suite(suite_file(tmp_path, kwargs__row_condition=condition))
    assert suite.checks[0].condition == "(is_won = true and amount is not null and stage in ('a', 'it''s'))"


@given(st.one_of(st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")), st.integers(-(2**62), 2**62)))
def test_a_literal_comes_back_as_it_was(value: str | int) -> None:
    row = duckdb.sql(f"select {literal(value)}").fetchone()
    assert row is not None
    assert row[0] == value


def project_with(tmp_path: Path, checks: str) -> Project:
    (tmp_path / "crm_quality.yaml").write_text(f"name: mine\nchecks:\n{checks}", encoding="utf-8")
    return open_project(tmp_path)


def check_of(suites: dict[str, Suite], check_id: str) -> Check | None:
    return next((c for suite in suites.values() for c in suite.checks if c.check_id == check_id), None)


def test_a_project_changes_thresholds_without_touching_the_suite(tmp_path: Path) -> None:
    project = project_with(
        tmp_path,
        "  core_party__reviewed_lately: {days: 100, severity: critical}\n"
        "  core_party__email_present: {tolerate: 0.25}\n"
        "  core_opportunity__probability_in_range: {max_value: 1}\n"
        "  core_party__owner_present: {enabled: false}\n",
    )
    suites = project_suites(project)
    reviewed, email = (check_of(suites, f"core_party__{name}") for name in ("reviewed_lately", "email_present"))
    chance = check_of(suites, "core_opportunity__probability_in_range")
    assert reviewed and email and chance
    assert "- 100 and" in reviewed.kwargs["unexpected_rows_query"]
    assert (reviewed.severity, reviewed.description) == (
        "critical",
        "Somebody changed or confirmed the record within 100 days.",
    )
    assert (email.tolerate, chance.kwargs["max_value"], chance.kwargs["min_value"]) == (0.25, 1, 0)
    assert check_of(suites, "core_party__owner_present") is None
    unchanged = check_of(load_suites(), "core_party__reviewed_lately")
    assert unchanged and "- 730 and" in unchanged.kwargs["unexpected_rows_query"]


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        (
            "  core_party__email_presnt: {enabled: false}\n",
            r"checks\.core_party__email_presnt: there is no such check; did you mean core_party__email_present\?",
        ),
        (
            "  core_party__reviewed_lately: {weeks: 2}\n",
            "unknown key 'weeks'; allowed: enabled, severity, tolerate, days",
        ),
        ("  core_party__reviewed_lately: {days: soon}\n", "found 'soon'; give a number"),
        ("  core_party__email_present: {tolerate: 20}\n", "found 20; give a share of the rows"),
        ("  core_party__email_present: {severity: bad}\n", "found 'bad'; allowed: critical, warning, info"),
    ],
)
def test_a_wrong_threshold_says_what_is_allowed(tmp_path: Path, checks: str, message: str) -> None:
    with pytest.raises(CrmQualityError, match=message):
        project_suites(project_with(tmp_path, checks))


def test_a_project_adds_rules_of_its_own(tmp_path: Path) -> None:
    project = project_with(tmp_path, "  core_party__own_rule: {tolerate: 0.1}\n")
    (tmp_path / "expectations").mkdir()
    own = suite_file(tmp_path / "expectations", meta__check="own_rule")
    suites = project_suites(project)
    added = check_of(suites, "core_party__own_rule")
    assert added is not None and added.tolerate == 0.1
    assert len(suites["core.party"].checks) == len(SUITES["core.party"].checks) + 1
    own.write_text(own.read_text(encoding="utf-8").replace("own_rule", "email_present"), encoding="utf-8")
    with pytest.raises(CrmQualityError, match=r"'email_present' is a rule of core\.party already"):
        project_suites(project_with(tmp_path, "  {}\n"))


def test_the_rule_of_the_readme_can_be_copied(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    project = project_with(tmp_path, "  core_party__german_postal_code: {digits: 4}\n")
    (tmp_path / "expectations").mkdir()
    rule = readme.split("```json\n")[1].split("```")[0]
    (tmp_path / "expectations" / "core.party.json").write_text(rule, encoding="utf-8")
    added = check_of(project_suites(project), "core_party__german_postal_code")
    assert added is not None
    assert added.description == "A German postal code has 4 digits."
    assert added.kwargs["unexpected_rows_query"].endswith("length(postal_code) <> 4")
