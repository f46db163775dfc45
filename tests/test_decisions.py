"""Decisions are appended, never edited; an undone one is out of force; a wrong one is refused."""

from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

from crm_quality import decisions
from crm_quality.decisions import Decision
from crm_quality.errors import CrmQualityError

ONE = ("crm", "Contact", "1")
TWO = ("crm", "Contact", "2")


def in_force(log):
    con = duckdb.connect()
    con.execute("create schema meta")
    decisions.load(con, log)
    return con.sql(
        "select decision_id, kind, left_source_id, right_source_id, decided_by, reason from meta.decision"
    ).fetchall()


def test_a_decision_is_kept_with_who_and_why_until_it_is_undone(tmp_path):
    log = tmp_path / "decisions.jsonl"
    assert in_force(log) == []
    assert decisions.append(log, Decision("must_link", "wang", "same person", ONE, TWO)) == 1
    assert in_force(log) == [(1, "must_link", "1", "2", "wang", "same person")]
    decisions.append(log, Decision("undo", "wang", "I was wrong", undoes=1))
    assert in_force(log) == []
    assert len(log.read_text().splitlines()) == 2
    decisions.append(log, Decision("undo", "li", "she was right", undoes=2))
    assert in_force(log) == [(1, "must_link", "1", "2", "wang", "same person")]


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        (Decision("merge", "w", "why", ONE, TWO), "'merge' is not a kind"),
        (Decision("must_link", "w", "why", ONE), "both records"),
        (Decision("must_link", "w", "why", ONE, ONE), "and itself"),
        (Decision("ghost", "w", "why"), "the record"),
        (Decision("ghost", "w", " ", ONE), "say the reason"),
        (Decision("field_override", "w", "why", ONE, value="x"), "the field"),
        (Decision("undo", "w", "why", undoes=7), "no decision 7"),
        (Decision("undo", "w", "why"), "no decision None"),
    ],
)
def test_an_incomplete_decision_is_refused(tmp_path, decision, told):
    with pytest.raises(CrmQualityError, match=told):
        decisions.append(tmp_path / "d.jsonl", decision)
    assert in_force(tmp_path / "d.jsonl") == []


def test_a_damaged_log_is_named_with_its_line(tmp_path):
    log = tmp_path / "d.jsonl"
    log.write_text('{"decision_id": 1\n')
    with pytest.raises(CrmQualityError, match=r"d\.jsonl, line 1"):
        in_force(log)


def test_decisions_by_several_people_at_once_are_all_kept(tmp_path):
    log = tmp_path / "d.jsonl"

    def decide(number):
        return decisions.append(log, Decision("ghost", "w", "why", ("crm", "Contact", str(number))))

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(decide, range(40)))
    assert sorted(numbers) == list(range(1, 41))
    assert len(in_force(log)) == 40


def test_a_record_is_written_as_system_object_id():
    assert decisions.parse_key("crm/Contact/a/b") == ("crm", "Contact", "a/b")
    with pytest.raises(CrmQualityError, match="system/object/id"):
        decisions.parse_key("crm/1")
