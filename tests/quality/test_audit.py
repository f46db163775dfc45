"""A sample drawn by risk, verified by people, and what it says of the whole. Does not belong here: the sample company."""

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario import add, build, next_day, warehouse
from scipy.stats import binomtest

from crm_quality.errors import CrmQualityError
from crm_quality.quality import audit as audits
from crm_quality.quality.audit import Audit, Item, Stratum, Verdict
from crm_quality.quality.audit_accuracy import Sampled, build_audit_tables, estimate, stratified_interval
from crm_quality.quality.audit_draw import allocate, draw
from crm_quality.quality.audit_workbook import read_workbook, verdicts, write_audit
from crm_quality.quality.results import create_result_tables
from crm_quality.settings import AuditSettings

DAY = date(2026, 11, 21)


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """Forty persons: 0 to 4 with an address that a rule refuses, 5 a ghost, 6 whom CRM and ERP know differently."""
    con = warehouse()
    create_result_tables(con)
    for number in range(40):
        add(
            con, "party", f"crm|Contact|{number:02}", party_type="person", full_name=f"Name {number}",
            full_name_raw=f"Name {number}", email_raw="=1+1" if number < 5 else f"p{number}@x.cn", owner="li",
        )  # fmt: skip
    add(con, "party", "crm|Contact|gone", party_type="person", full_name_raw="Nobody", is_deleted=True)
    con.execute(
        """
        insert into quality.check_result (run_id, check_id, severity, dimension) values
            ('run-1', 'core_party__email_valid', 'warning', 'validity'), ('run-1', 'core_party__email_unique', 'warning', 'uniqueness');
        insert into quality.failure select 'run-1', 'core_party__email_valid', 'crm', 'Contact', source_id, 'email', 'core.party'
            from core.party where source_id < '05';
        -- shared, which does not make it wrong
        insert into quality.failure values ('run-1', 'core_party__email_unique', 'crm', 'Contact', '07', 'email', 'core.party');
        create table quality.ghost_verdict as select 'crm' as source_system, 'Contact' as source_object, '05' as source_id, 'ghost' as verdict;
        create table quality.reconciliation_difference as select 'contact_differs' as kind, 'open' as status, 'crm' as crm_source_system,
            '06' as crm_source_id, 'erp' as erp_source_system, 'K1' as erp_source_id;
        create table meta.run as select date '2026-11-21' as extract_date, 'published' as status;
        """
    )
    return con


@pytest.fixture
def golden(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Path:
    file = tmp_path / "golden.duckdb"
    con.execute(f"attach '{file}' as target")
    for table in (
        "core.party", "quality.failure", "quality.check_result", "quality.ghost_verdict",
        "quality.reconciliation_difference", "meta.run",
    ):  # fmt: skip
        schema = table.split(".")[0]
        con.execute(f"create schema if not exists target.{schema}; create table target.{table} as from {table}")
    con.execute("detach target")
    return file


@pytest.fixture
def drawn(golden: Path, tmp_path: Path) -> Audit:
    return audits.keep(tmp_path / "audits", draw(golden, "core.party", 12))


# --- drawing -----------------------------------------------------------------------------------------------


def test_records_are_drawn_by_risk_and_live_ones_only(golden: Path) -> None:
    audit = draw(golden, "core.party", 40)
    assert {stratum for stratum in audit.strata if stratum.field == "all"} == {
        Stratum("high", "all", records=6, cells=12, refused=5),
        Stratum("medium", "all", records=2, cells=4, refused=0),
        Stratum("low", "all", records=32, cells=64, refused=0),
    }
    risks = {(item.source_id, item.risk) for item in audit.items}
    assert len(risks) == 40  # all there are, the deleted one not
    assert {key for key, risk in risks if risk == "medium"} == {"06", "07"}
    assert {item.source_id for item in audit.items if item.refused} == {"00", "01", "02", "03", "04"}


def test_the_day_is_the_seed(golden: Path) -> None:
    assert draw(golden, "core.party", 12) == draw(golden, "core.party", 12)
    other = draw(golden, "core.party", 12, date(2026, 11, 22))
    assert other.items != draw(golden, "core.party", 12).items
    assert other.strata == draw(golden, "core.party", 12).strata


@given(
    st.dictionaries(st.sampled_from(["high", "medium", "low"]), st.integers(1, 300), min_size=1), st.integers(1, 400)
)
def test_as_many_records_are_drawn_as_wanted_or_as_there_are(sizes: dict[str, int], wanted: int) -> None:
    found = allocate(sizes, wanted)
    assert sum(found.values()) == min(wanted, sum(sizes.values()))
    assert all(0 <= found[risk] <= size for risk, size in sizes.items())


def test_a_sample_that_was_drawn_stays_and_no_other_can_be_tried(golden: Path, drawn: Audit, tmp_path: Path) -> None:
    folder = tmp_path / "audits"
    assert audits.keep(folder, draw(golden, "core.party", 12)) == drawn
    with pytest.raises(CrmQualityError, match=r"2026-11-21 core\.party was drawn with 12 records, and stays so"):
        audits.keep(folder, draw(golden, "core.party", 13))


def test_what_cannot_be_audited_is_named(golden: Path) -> None:
    with pytest.raises(CrmQualityError, match=r"'core\.ticket' cannot be audited; allowed: core\.party"):
        draw(golden, "core.ticket", 12)


# --- the workbook ------------------------------------------------------------------------------------------


def fill(file: Path, **cells: Any) -> None:
    """Write cells such as J2 as a reviewer does."""
    workbook = openpyxl.load_workbook(file)
    for cell, value in cells.items():
        workbook["audit"][cell] = value
    workbook.save(file)


def reread(file: Path, audit: Audit) -> list[Verdict]:
    return verdicts(file, read_workbook(file), audit, "wang")


def test_a_list_goes_out_and_its_verdicts_come_back(drawn: Audit, tmp_path: Path) -> None:
    file, folder = tmp_path / "list.xlsx", tmp_path / "audits"
    write_audit(drawn, file)
    page = openpyxl.load_workbook(file)["audit"]
    headers = [cell.value for cell in page[1]]
    assert headers[7:] == ["field", "value", "verdict", "right value", "remark"]
    assert "risk" not in headers
    formula = next(row for row in page.iter_rows(min_row=2) if row[8].value == "=1+1")
    assert formula[8].data_type == "s"
    assert page.data_validations.dataValidation[0].formula1 == '"right,wrong,cannot tell"'
    assert page.column_dimensions["K"].width  # a column to write in, as text: a spreadsheet makes 49 of 0049

    fill(file, J2="right", J3=" Wrong ", K3="0049 30 1", L3="she moved", J4="cannot tell")
    found = reread(file, drawn)
    assert [(v.item, v.verdict, v.right_value, v.remark, v.judged_by) for v in found] == [
        (1, "right", None, None, "wang"),
        (2, "wrong", "0049 30 1", "she moved", "wang"),
        (3, "cannot tell", None, None, "wang"),
    ]
    assert audits.append(folder, drawn, found) == 3
    assert audits.append(folder, drawn, reread(file, drawn)) == 0  # the same workbook read again says nothing new
    fill(file, J4="right")
    assert audits.append(folder, drawn, reread(file, drawn)) == 1
    (known,) = audits.load(folder)
    assert len(known.verdicts) == 4  # nothing is overwritten
    assert known.standing()[3].verdict == "right"
    write_audit(known, file)
    assert [v.verdict for v in reread(file, known)] == ["right", "wrong", "right"]


PLAIN = Audit(
    DAY,
    "core.party",
    3,
    (Stratum("low", "all", 3, 6, 0),),
    tuple(
        Item(n, "low", "crm", "Contact", f"{n // 2}", "li", "Wang", field, "=1+1", refused=False)
        for n, field in enumerate(["full_name", "email"] * 3, start=1)
    ),
)
BAD = [
    ({"J5": "rihgt"}, "row 5, column verdict: found 'rihgt'; write right, wrong or cannot tell"),
    ({"J5": "right", "K5": "x"}, "row 5, column right value: is filled in, but the verdict is right"),
    ({"K5": "x"}, "row 5, column right value: is filled in, but the verdict is missing"),
    ({"I5": "x", "J5": "wrong"}, "row 5, column value: is not what was drawn as item 4; write what is right into"),
    ({"E5": "99", "J5": "right"}, "row 5, column source id: is not what was drawn as item 4"),
    ({"B5": 400}, "row 5, column item: '400' is no item of 2026-11-21 core.party"),
    ({"B5": 3}, "row 5, column item: 3 stands in row 4 already"),
    ({"J1": "judgement"}, "row 1: no column 'verdict'"),
    ({"A5": "2026-11-20 core.party"}, "column audit: found '2026-11-20 core.party', '2026-11-21 core.party'"),
]


@pytest.mark.parametrize(("cells", "message"), BAD, ids=[message.split(":")[0] for _, message in BAD])
def test_a_bad_workbook_is_refused_naming_sheet_row_and_column(
    tmp_path: Path, cells: dict[str, Any], message: str
) -> None:
    file = tmp_path / "list.xlsx"
    write_audit(PLAIN, file)
    fill(file, J2="right", **cells)
    with pytest.raises(CrmQualityError) as error:
        reread(file, PLAIN)
    assert f"{file}, sheet audit, {message}" in str(error.value)


def test_what_is_no_workbook_or_no_audit_is_told(drawn: Audit, tmp_path: Path) -> None:
    file = tmp_path / "list.xlsx"
    file.write_text("item;verdict")
    with pytest.raises(CrmQualityError, match="is not a workbook that can be read as XLSX"):
        read_workbook(file)
    workbook = openpyxl.Workbook()
    workbook.save(file)
    with pytest.raises(CrmQualityError, match="no sheet 'audit'; it has Sheet"):
        read_workbook(file)
    with pytest.raises(CrmQualityError, match=r"no audit '2026-01-01 core.party' was drawn here; there is 2026-11-21"):
        audits.find(tmp_path / "audits", "2026-01-01 core.party")


def test_a_damaged_log_names_its_line(drawn: Audit, tmp_path: Path) -> None:
    file = tmp_path / "audits" / "2026-11-21.core.party.jsonl"
    with file.open("a") as stream:
        stream.write('{"item": 1}\n')
    with pytest.raises(CrmQualityError, match=r"core\.party\.jsonl, line 2: not as an audit writes it"):
        audits.load(tmp_path / "audits")


@settings(max_examples=50, deadline=None)
@given(value=st.text(min_size=1, max_size=40).filter(lambda text: text.strip()))
def test_any_value_of_a_record_goes_out_and_comes_back(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    item = Item(1, "low", "crm", "Contact", "7", None, None, "full_name", value, False)
    audit = Audit(
        DAY, "core.party", 1, (Stratum("low", "all", 1, 1, 0),), (item,), (Verdict(1, "right", None, None, "li", ""),)
    )
    file = tmp_path_factory.mktemp("any") / "list.xlsx"
    write_audit(audit, file)
    assert [v.verdict for v in reread(file, audit)] == ["right"]


# --- the estimate ------------------------------------------------------------------------------------------


def test_the_interval_of_one_stratum_is_the_exact_one() -> None:
    exact = binomtest(45, 50).proportion_ci(method="exact")
    found = stratified_interval([Sampled(weight=10**9, records=10**9, judged=50, share=0.9)])
    assert found == pytest.approx((0.9, exact.low, exact.high), abs=1e-6)


def test_strata_weigh_what_there_is_of_them() -> None:
    mean, low, high = stratified_interval([Sampled(900, 900, 50, 1.0), Sampled(100, 100, 50, 0.5)])
    assert mean == pytest.approx(0.95)
    # fifty without an error may still hide some: exact limit 0.05 ** (1 / 50), or rather 0.025
    unseen = 0.9 * (1 - 0.025 ** (1 / 50)) * (1 - 50 / 900) ** 0.5
    assert mean - low > unseen
    assert high < 1


def test_what_was_looked_at_altogether_is_known_and_what_nobody_judged_may_be_anything() -> None:
    assert stratified_interval([Sampled(10, 10, 10, 0.5)]) == (0.5, 0.5, 0.5)
    assert stratified_interval([Sampled(50, 50, 50, 1.0), Sampled(50, 50, 0, 0.0)]) == (1.0, 0.5, 1.0)


@given(
    st.lists(
        st.builds(
            lambda records, judged, right, cells: Sampled(records * cells, records, min(judged, records), right),
            st.integers(1, 10_000), st.integers(0, 300), st.fractions(0, 1, max_denominator=300).map(float), st.integers(1, 9),
        ),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_the_estimate_lies_within_its_interval(strata: list[Sampled]) -> None:
    mean, low, high = stratified_interval(strata)
    assert 0 <= low <= high <= 1
    assert not any(stratum.judged for stratum in strata) or low - 1e-9 <= mean <= high + 1e-9


def test_people_and_rules_stand_side_by_side(drawn: Audit, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    folder = tmp_path / "audits"
    said = [
        Verdict(
            item.item, "wrong" if item.refused or item.risk == "low" else "right", "x@x.cn", None, "li", "2026-11-22"
        )
        for item in drawn.items
        if item.field == "email"
    ]
    audits.append(folder, drawn, said)
    (known,) = audits.load(folder)
    whole, name, email = sorted(estimate(known), key=lambda found: ("all", "full_name", "email").index(found.field))
    assert (whole.field, whole.cells, whole.judged) == ("all", 80, 12)
    assert (name.judged, name.accuracy, name.rule_accuracy) == (0, None, 1.0)
    low = sum(item.risk == "low" for item in drawn.items) // 2
    assert email.wrong_unseen == low
    assert email.rule_accuracy == 1 - 5 / 40
    # all low ones wrong, none of the medium, and of the high the share that the sample has
    refused = sum(item.refused for item in drawn.items)
    high = sum(item.risk == "high" for item in drawn.items) // 2
    assert email.accuracy == pytest.approx((2 + 6 * (1 - refused / high)) / 40)

    assert build_audit_tables(con, folder, {}) == 1
    accuracy = (
        "select accuracy, accuracy_low, accuracy_high, rule_accuracy from quality.audit_accuracy where field = 'email'"
    )
    assert con.execute(accuracy).fetchall() == [(email.accuracy, email.low, email.high, 0.875)]


def tasks(con: duckdb.DuckDBPyConnection, folder: Path, periods: dict[str, AuditSettings]) -> list[tuple[Any, ...]]:
    """The worklist where nothing but audits gives anything to do."""
    build_audit_tables(con, folder, periods)
    con.execute(
        """
        create or replace table quality.failure_history (check_id varchar, table_name varchar, source_system varchar, source_object varchar,
            source_id varchar, column_name varchar, severity varchar, file varchar, line bigint, first_seen_at date, resolved_at date);
        create or replace table quality.reconciliation_difference (difference_id varchar, kind varchar, field varchar, owner varchar, status varchar,
            first_found_at date, amount_difference double, currency varchar, crm_source_system varchar, erp_source_system varchar,
            crm_source_id varchar, erp_source_id varchar);
        create or replace table quality.process_finding (kind varchar, source_system varchar, source_object varchar, source_id varchar,
            owner varchar, field varchar, amount double, currency varchar, to_stage varchar);
        create or replace table marts.contract_churn (contract_id varchar, customer_id varchar, has_churned boolean, risk_band varchar,
            renews_on date, days_to_renewal bigint, value_at_risk double);
        create or replace table golden.customer (customer_id varchar, owner varchar);
        delete from quality.ghost_verdict;
        create or replace table identity.review_queue (pair_id varchar, left_source_system varchar, left_source_object varchar, left_source_id varchar, status varchar);
        create or replace table marts.customer_value (customer_id varchar, clv_12m double, currency varchar);
        create or replace table golden.customer_child (customer_id varchar, child varchar, source_system varchar, source_object varchar, source_id varchar);
        create or replace table quality.service_finding (kind varchar, source_system varchar, source_object varchar, source_id varchar,
            owner varchar, promised_at timestamp, waits boolean);
        create or replace table golden.customer_xref as from identity.customer_xref;
        """
    )
    build(con, "quality.worklist")
    return con.execute("select kind, what, owner, due_on, source_id, field, origin from quality.worklist").fetchall()


def test_what_an_audit_found_wrong_is_to_be_fixed_until_the_record_says_otherwise(
    drawn: Audit, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "audits"
    one, other = (item for item in drawn.items[:4] if item.field == "full_name")
    audits.append(folder, drawn, [Verdict(one.item, "wrong", "Wang Li", None, "li", "2026-11-22")])
    audits.append(folder, drawn, [Verdict(other.item, "wrong", None, None, "li", "2026-11-22")])
    con.execute("update core.party set full_name_raw = 'Corrected' where source_id = ?", [other.source_id])
    assert tasks(con, folder, {}) == [
        (
            "fix", "Somebody verified the full name and found it wrong: correct it; quality.audit_verdict holds the right one.",
            "li", date(2026, 12, 5), one.source_id, "full_name", "audit",
        )
    ]  # fmt: skip


def test_whoever_sees_to_audits_is_reminded_when_one_is_due_and_until_its_verdicts_are_in(
    drawn: Audit, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "audits"
    periods = {"core.party": AuditSettings(every_days=30, owner="wang"), "core.sales_order": AuditSettings()}
    never = (
        "verify", "Nobody has verified a sample of core.sales_order yet: draw one with `crm-quality audit`.",
        "data stewards", date(2026, 12, 5), None, None, "audit",
    )  # fmt: skip
    waiting = f"A sample of core.party was drawn and waits for {len(drawn.items)} verdicts: complete the list and read it back."
    assert sorted(tasks(con, folder, periods)) == sorted(
        [never, ("verify", waiting, "wang", date(2026, 12, 5), None, None, "audit")]
    )
    audits.append(
        folder, drawn, [Verdict(item.item, "right", None, None, "wang", "2026-11-22") for item in drawn.items]
    )
    assert tasks(con, folder, periods) == [never]
    next_day(con, date(2026, 12, 20), "run-2")
    assert tasks(con, folder, {"core.party": periods["core.party"]}) == []
    next_day(con, date(2026, 12, 21), "run-3")
    due = "A sample of core.party is verified every 30 days: the next is due, draw it with `crm-quality audit`."
    assert tasks(con, folder, {"core.party": periods["core.party"]}) == [
        ("verify", due, "wang", date(2027, 1, 4), None, None, "audit")
    ]
