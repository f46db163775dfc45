"""What training is made of: the mixture, falling weights, blocking keys, Latin spellings."""

import itertools
import logging
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_quality.identity.blocking import BlockingPlan, build_blocks, build_candidates, choose_plan
from crm_quality.identity.clean_source import build_clean_sources
from crm_quality.identity.explain import _rivals
from crm_quality.identity.latin import build_latin
from crm_quality.identity.mixture import Column, Patterns, estimate
from crm_quality.identity.organisation import ORGANISATION
from crm_quality.identity.person import PERSON
from crm_quality.identity.roles import PLACE
from crm_quality.identity.score import frequency_query
from crm_quality.identity.training import BEFORE, Fit, falling, namesakes_share
from crm_quality.identity.workspace import prepare_records
from crm_quality.standardise.address import comparable_address, latin_place
from tests.identity.scenario import person, warehouse


def test_the_mixture_finds_the_share_of_matches_and_their_agreement() -> None:
    chooser = np.random.default_rng(3)
    size, matches = 20_000, 2_000
    is_match = np.arange(size) < matches
    levels = np.column_stack([np.where(chooser.random(size) < np.where(is_match, 0.9, 0.02), 0, 1) for _ in range(4)])
    patterns, pairs = np.unique(levels, axis=0, return_counts=True)
    columns = [Column(np.array([0.02, 0.98]), is_shared=False, is_namesake=False) for _ in range(4)]
    found = estimate(Patterns(patterns, pairs.astype(float), [2] * 4), columns, 1e6)
    assert found.matches == pytest.approx(matches, rel=0.05)
    assert all(m[0] == pytest.approx(0.9, abs=0.03) for m in found.m)


def test_a_household_is_not_taken_for_a_match() -> None:
    # Name, birth date, address: 200 matches agree on all, 400 couples on the address alone.
    patterns = np.array([[0, 0, 0], [1, 1, 0], [1, 1, 1]])
    rare = np.array([0.001, 0.999])
    columns = [
        Column(rare, is_shared=False, is_namesake=True),
        Column(rare, is_shared=False, is_namesake=False),
        Column(rare, is_shared=True, is_namesake=False),
    ]
    found = estimate(Patterns(patterns, np.array([200.0, 400.0, 9_400.0]), [2] * 3), columns, 1e6)
    assert found.matches == pytest.approx(200, abs=10)


def test_of_two_comparisons_strangers_are_as_among_all_pairs() -> None:
    # Name and birth date (same, similar, other) of 10,000 records, pairs chosen by either: 900 matches, all with one slip.
    patterns = np.array([[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]])
    pairs = np.array([300.0, 7_000.0, 600.0, 3_000.0, 1_700.0, 900.0])
    columns = [
        Column(np.array([0.0002, 0.0001, 0.9997]), is_shared=False, is_namesake=True),
        Column(np.array([0.0001, 0.001, 0.9989]), is_shared=False, is_namesake=False),
    ]
    found = estimate(Patterns(patterns, pairs, [3, 3]), columns, 5e7)
    assert found.matches == pytest.approx(900, rel=0.1)
    assert found.m[1][:2] == pytest.approx([0.66, 0.33], abs=0.05)


def test_relatives_do_not_pass_for_matches_where_they_are_more() -> None:
    # Name (same, another given name, other), birth date, address: 100 matches, 5,000 relatives of whom some have moved.
    patterns = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1], [2, 1, 1]])
    pairs = np.array([70.0, 30.0, 4_000.0, 1_000.0, 90_000.0])
    name, rare = np.array([0.001, 0.001, 0.998]), np.array([0.001, 0.999])
    columns = [
        Column(name, is_shared=False, is_namesake=True, kin_levels=(1,), kin_share=0.5, is_renamed=True),
        Column(rare, is_shared=False, is_namesake=False),
        Column(rare, is_shared=True, is_namesake=False),
    ]
    found = estimate(Patterns(patterns, pairs, [3, 2, 2]), columns, 1e6)
    assert found.matches == pytest.approx(100, abs=10)
    assert found.related.pairs == pytest.approx(5_000, rel=0.1)


def test_many_namesakes_of_one_town_are_not_taken_for_matches() -> None:
    # Name, town, tax id, phone: 100 matches agree on nearly all, 3,000 namesakes on name and town alone.
    patterns = np.array([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]])
    pairs = np.array([90.0, 10.0, 3_000.0, 500.0, 2_000.0, 90_000.0])
    columns = [Column(np.array([u, 1 - u]), is_shared=False, is_namesake=u > 1e-5) for u in (1e-4, 0.02, 1e-6, 1e-6)]
    found = estimate(Patterns(patterns, pairs, [2] * 4), columns, 1e6)
    assert found.matches == pytest.approx(100, abs=5)
    assert found.namesakes.pairs > 3_000
    assert found.m[2][0] > 0.9
    alone = [Column(column.u, is_shared=False, is_namesake=False) for column in columns]
    assert (
        estimate(Patterns(patterns, pairs, [2] * 4), alone, 1e6).matches > 1_000
    )  # what it would be without the class


@pytest.mark.parametrize(
    ("compared", "shared"),
    [
        ({"name", "place", "phone"}, ("name", "place")),
        ({"name", "place"}, ()),  # nothing tells namesakes from matches
        ({"name", "phone"}, ()),  # nothing is known of what follows from the name
    ],
)
def test_namesakes_are_told_by_what_follows_from_the_name_and_what_does_not(
    compared: set[str], shared: tuple[str, ...]
) -> None:
    assert namesakes_share(ORGANISATION, [item for item in ORGANISATION.evidence if item.name in compared]) == shared


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_weights_are_made_to_fall_with_similarity(weights: list[float]) -> None:
    found = falling(np.array(weights), np.ones(len(weights)))
    assert all(left >= right for left, right in itertools.pairwise(found))
    assert found.mean() == pytest.approx(np.mean(weights), abs=1e-6)


def test_a_key_that_would_explode_is_refused_with_its_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("crm_quality.identity.blocking.ALL_PAIRS", 10)
    # 80 people of one birth date: 3,160 pairs for 80 records; the national id is everyone's own.
    con = warehouse(
        [
            person(f"{n}", f"given{n}", f"family{n}", birth_date="1980-01-01", national_id_raw=f"{n:09}")
            for n in range(80)
        ]
    )
    con.execute("create schema work")
    build_latin(con)
    build_clean_sources(con, "work")
    with caplog.at_level(logging.WARNING):
        plan = choose_plan(con, PERSON, prepare_records(con, PERSON, "work"), "work")
    assert "birth date" not in plan.keys
    assert "blocking key 'birth date' refused: it would compare 3160 pairs" in caplog.text


def test_candidates_are_each_listed_once_with_the_smaller_number_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_quality.identity.blocking.ALL_PAIRS", 0)
    people = [person(f"{n}", "Anna", f"family{n // 2}", email=f"x{n // 2}{n // 2:03}@mail.org") for n in range(10)]
    con = warehouse(people)
    con.execute("create schema work")
    build_latin(con)
    build_clean_sources(con, "work")
    table = prepare_records(con, PERSON, "work")
    plan = choose_plan(con, PERSON, table, "work")
    build_candidates(con, "work", build_blocks(con, PERSON, table, "work", plan))
    rows = con.execute("select join_key_l, join_key_r from work.candidate").fetchall()
    assert len(rows) == len(set(rows))
    assert all(left < right for left, right in rows)
    assert {(1, 2), (3, 4), (5, 6)} <= set(rows)


@pytest.mark.parametrize(
    ("address", "comparable"),
    [
        ("建设路36号911室", "jianshe road 36 911"),
        ("迎宾大道135号", "yingbin avenue 135"),
        ("中山街8号 a座", "zhongshan street a 8"),
        ("no 36 jianshe road room 911", "jianshe road 36 911"),
        ("12a rue de la gare", "12a rue de la gare 12"),
        ("suite", None),
    ],
)
def test_an_address_is_compared_in_one_order_and_one_script(address: str, comparable: str | None) -> None:
    assert comparable_address(address) == comparable


def test_a_chinese_place_loses_its_rank() -> None:
    assert [latin_place(place) for place in ("苏州市", "北京", "沙市")] == ["suzhou", "beijing", "shashi"]


def test_a_number_shared_by_a_switchboard_is_no_evidence() -> None:
    people = [
        person(f"{n}", f"{'abcdefghijklm'[n]}nna", f"{'nopqrstuvwxyz'[n]}aier", phone="+441130000000")
        for n in range(13)
    ]
    con = warehouse([*people, person("one", "Rosa", "Ufer", phone="+441131111111")])
    numbers = con.execute("select distinct phone_2 from identity.person_feature").fetchall()
    assert set(numbers) == {(None,), ("+441131111111",)}


def test_a_number_is_mobile_if_its_kind_says_so() -> None:
    parties = [
        person("1", "Ann", "Lee", phone="+447700900111", phone_kind="mobile"),
        person("2", "Bo", "May", phone="+441632960111", phone_kind="fixed"),
    ]
    found = warehouse(parties).execute("select phone_1, phone_2 from identity.person_feature order by record_number")
    assert found.fetchall() == [("+447700900111", None), (None, "+441632960111")]


def test_a_value_on_more_records_is_rarer_where_most_are_one_persons() -> None:
    con = warehouse(
        [person(f"{at}", "Ann", "Lee", email="annlee@b.com" if at < 4 else f"annlee{at}@b.com") for at in range(100)]
    )
    settings = {
        "comparisons": [
            {"comparison_levels": [{"tf_adjustment_column": "email", "u_probability": 0.001}]},
            {"comparison_levels": []},
        ]
    }

    def frequency(agreeing: float) -> float:
        query = frequency_query("identity.person_feature", settings, {"email": agreeing})
        (found,) = con.execute(f"select frequency from ({query}) where value = 'annlee@b.com'").fetchone() or (0.0,)
        return float(found)

    assert frequency(0) == pytest.approx(0.02)  # two others
    assert frequency(50) == pytest.approx(0.01)  # one of them is the same person, as every record has another
    assert frequency(200) == pytest.approx(0.001)


def test_a_number_is_mobile_if_any_record_has_it_as_mobile() -> None:
    con = warehouse([person("1", "A", "B", mobile="+447900000001"), person("2", "A", "B", phone="+447900000001")])
    assert (
        con.execute("select phone_1, phone_2 from identity.person_feature").fetchall() == [("+447900000001", None)] * 2
    )


def test_no_model_file_is_left_half_written(tmp_path: Path) -> None:
    from crm_quality.identity.model import save_model

    con = warehouse([])
    query = "select 'name_key' as column_name, 'x' as value, 0.5::double as frequency"
    save_model(con, tmp_path, "person", Fit({"comparisons": []}, {}), 2, BlockingPlan((), 1), query)
    assert not list(tmp_path.glob("*.partial"))


def test_a_town_in_which_many_are_says_as_little_for_namesakes_as_for_a_match() -> None:
    def taken_off(rarity: float) -> float:
        bits = _rivals([PLACE], {BEFORE: [-5.0], "place": [12.0, 8.0, 4.0, -2.0]}, {"place"})
        row = duckdb.execute(f"select {bits} from (select 3 as gamma_place, {rarity} as mw_tf_adj_place)").fetchone()
        return float(row[0]) if row else 0.0

    assert taken_off(0) == 7
    assert taken_off(-4) == 3
