"""What may become the model: bad fits are refused, labels are learnt from, a version can be pinned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.identity.blocking import BlockingPlan
from crm_quality.identity.features import build_features
from crm_quality.identity.labels import _corrected
from crm_quality.identity.model import load_model, save_model
from crm_quality.identity.pairs import build_pairs, train
from crm_quality.identity.training import Fit
from crm_quality.identity.validate import Comparison, problems
from crm_quality.identity.verify import build_pairs_verified
from tests.identity.scenario import decide, person, warehouse


def _comparison(*levels: tuple[str, float, float]) -> dict[str, Any]:
    return {
        "output_column_name": "email",
        "comparison_levels": [
            {"sql_condition": "", "label_for_charts": "nothing to compare", "is_null_level": True},
            *({"label_for_charts": words, "m_probability": m, "u_probability": u} for words, m, u in levels),
        ],
    }


def _fit(*levels: tuple[str, float, float], iterations: int = 9) -> Fit:
    return Fit({"comparisons": [_comparison(*levels)]}, {"iterations": iterations})


def test_a_sound_fit_has_no_problems():
    assert problems(_fit(("same", 0.8, 0.01), ("similar", 0.1, 0.02), ("different", 0.1, 0.97))) == []


def test_an_estimation_that_did_not_settle_is_told():
    found = problems(_fit(("same", 0.8, 0.01), ("different", 0.1, 0.97), iterations=10**6))
    assert len(found) == 1
    assert found[0].startswith("the estimation stopped at its limit")


def test_a_comparison_that_says_nothing_is_told():
    assert problems(_fit(("same", 0.5, 0.5), ("different", 0.5, 0.5))) == [
        "email is untrained: its strongest level weighs 0.0 bits"
    ]


def test_a_weight_that_rises_as_similarity_falls_is_told():
    assert problems(_fit(("same", 0.2, 0.1), ("similar", 0.4, 0.05), ("different", 0.1, 0.8))) == [
        "email weighs more for less: similar 3.0 bits, same 1.0"
    ]


def test_sessions_are_compared_only_where_there_are_enough_links():
    assert Comparison(10_000, both=80, only_first=15, only_second=5, mean_difference=1.0).disagreeing == 0.2
    assert Comparison(10_000, both=8, only_first=2, only_second=0, mean_difference=1.0).disagreeing == 0.0


def test_labelled_matches_move_the_weights_towards_the_levels_where_they_agree():
    before = _comparison(("same", 0.8, 0.01), ("similar", 0.1, 0.02), ("different", 0.1, 0.97))
    after = _corrected(before, np.array([10.0, 190.0, 0.0]), np.zeros(3))
    m = [level["m_probability"] for level in after["comparison_levels"] if "m_probability" in level]
    # Half of what counts are labels now, 19 of 20 of them only similar.
    assert m == pytest.approx([0.425, 0.525, 0.05], abs=0.001)
    assert _corrected(before, np.zeros(3), np.zeros(3))["comparison_levels"][1]["m_probability"] == pytest.approx(
        0.8, abs=0.001
    )


def test_many_labels_count_for_no_more_than_the_estimate():
    before = _comparison(("same", 0.6, 0.01), ("different", 0.4, 0.99))
    few, many = (_corrected(before, np.array([labels, 0.0]), np.zeros(2)) for labels in (200.0, 50_000.0))
    assert few == many
    different = many["comparison_levels"][-1]
    assert different["m_probability"] / different["u_probability"] == pytest.approx(0.2 / 0.99, rel=0.01)


def test_what_stewards_hold_apart_lowers_the_weight_of_the_levels_where_it_agrees():
    before = _comparison(("same", 0.8, 0.0001), ("similar", 0.1, 0.02), ("different", 0.1, 0.9799))
    after = _corrected(before, np.zeros(3), np.array([60.0, 0.0, 0.0]))
    same = next(level for level in after["comparison_levels"] if "m_probability" in level)
    # 20 of 200,000 strangers had the same; 60 doubtful ones besides make it 80.
    assert same["u_probability"] == pytest.approx(80 / 200_060, rel=0.01)
    assert same["m_probability"] == pytest.approx(0.8, abs=0.001)


def test_decisions_in_force_are_the_labels(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for number in range(1, 26):
        decide(con, number, "must_link", f"{2 * number - 1}-0", f"{2 * number - 1}-1")
        decide(con, 25 + number, "cannot_link", f"{number}-0", f"{number + 30}-0")
    # A decision that a later one replaces teaches nothing.
    decide(con, 55, "cannot_link", "1-0", "1-1")
    (report,) = train(con, tmp_path)
    assert (report.training["labels"], report.training["labelled_strangers"]) == (24, 26)
    assert "24 known matches (decisions, merges of the sources) and 26 pairs that stewards hold apart" in str(report)


def test_labels_that_make_all_matches_agree_leave_no_weight_that_rises():
    # The sum of m is above 1 where two levels stand for the same agreement in two scripts.
    before = _comparison(("same", 0.9, 4e-5), ("same, spelt otherwise", 0.2, 3e-6), ("different", 0.05, 1.0))
    after = _corrected(before, np.array([100.0, 5.0, 0.0]), np.zeros(3))
    assert problems(Fit({"comparisons": [after]}, {"iterations": 9})) == []


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    given, family = ["Anna", "Berta", "Carla", "Dora", "Emma", "Frida"], ["Adler", "Bauer", "Conrad", "Decker", "Engel"]
    return warehouse(
        [
            person(
                f"{number}-{copy}", given[number % 6], family[number % 5],
                email=f"mail{number}{number}{number}@mail.org", birth_date=f"19{50 + number % 45}-03-{10 + number % 17}",
            )
            for number in range(60)
            for copy in range(1 + number % 2)
        ]
    )  # fmt: skip


def test_a_column_that_the_model_was_trained_without_is_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    con.execute("create temp table complete as from core.party")
    con.execute("update core.party set birth_date = null")
    build_features(con)
    assert build_pairs_verified(con, tmp_path, 0).not_in_model == ""
    assert caplog.text == ""
    con.execute("create or replace table core.party as from complete")
    build_features(con)
    assert build_pairs_verified(con, tmp_path, 0).not_in_model == "person: birth date"
    assert "was trained when there was no birth date; it does not count before `crm-quality train`" in caplog.text
    assert con.execute("select not_in_model from identity.pair_run").fetchall() == [("person: birth date",)]
    train(con, tmp_path)
    assert build_pairs(con, tmp_path).not_in_model == ""


def test_a_refused_model_leaves_the_last_one_in_use(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = train(con, tmp_path)
    assert first.version
    for limit, value in (("MOST_ITERATIONS", 1), ("MOST_DISAGREEING", -0.01), ("LEAST_SAID", 15.5)):
        monkeypatch.setattr(f"crm_quality.identity.validate.{limit}", value)
    (second,) = train(con, tmp_path)
    assert second.version is None
    assert "refused" in str(second)
    told = " ".join(second.problems)
    assert "the estimation stopped at its limit of 1 iterations" in told
    assert "fitted on either half of the pairs, the two disagree on" in told
    assert "birth_date is untrained: its strongest level weighs" in told
    assert json.loads((tmp_path / "person.json").read_text())["version"] == first.version
    # Fitted on the same records, the two are one on the frozen sample.
    assert second.compared_with_last is not None
    assert (second.compared_with_last.only_first, second.compared_with_last.only_second) == (0, 0)
    assert second.compared_with_last.both > 0


def test_a_model_that_measured_something_else_is_another_version(tmp_path: Path) -> None:
    con = duckdb.connect()
    query = "select 'name_key' as column_name, 'li na' as value, 0.1::double as frequency"
    versions = [
        save_model(con, tmp_path, "person", Fit({"comparisons": []}, measured), 2, BlockingPlan((), 1), query).version
        for measured in ({"shared_homes": 0.2}, {"shared_homes": 0.2}, {"shared_homes": 0.8})
    ]
    assert versions[0] == versions[1] != versions[2]


def test_a_pinned_version_is_scored_with_and_one_that_is_not_there_is_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    (first,) = train(con, tmp_path)
    query = "select 'name_key' as column_name, 'x' as value, 0.5::double as frequency"
    save_model(con, tmp_path, "person", Fit({"comparisons": []}, {}), 2, BlockingPlan((), 1), query)
    report = build_pairs(con, tmp_path, pinned={"person": str(first.version)})
    assert report.kinds[0].model_version == first.version
    with pytest.raises(CrmQualityError, match=f"'nope' of person; .* holds .*{first.version}"):
        load_model(tmp_path, "person", "nope")
