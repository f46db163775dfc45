"""A company with a handful of records: typical weights serve until there are enough records to learn from."""

from __future__ import annotations

from pathlib import Path

import pytest

from crm_quality.identity.organisation import ORGANISATION
from crm_quality.identity.pairs import build_pairs
from crm_quality.identity.person import PERSON
from crm_quality.identity.typical import TYPICAL_WEIGHTS
from tests.identity.scenario import company, person, run_pairs_and_clusters, together, warehouse


@pytest.fixture(autouse=True)
def few_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_quality.identity.training.FEW_RECORDS", 20)
    monkeypatch.setattr("crm_quality.identity.pairs.FEW_RECORDS", 20)


@pytest.mark.parametrize("kind", [PERSON, ORGANISATION], ids=lambda kind: kind.party_type)
def test_every_level_of_every_comparison_has_a_typical_weight_that_falls_with_similarity(kind):
    weights = TYPICAL_WEIGHTS[kind.party_type]
    for evidence in kind.evidence:
        words = [*(level.words for level in evidence.levels), evidence.different]
        bits = [weights[evidence.name][word] for word in words]
        assert bits == sorted(bits, reverse=True), evidence.name
        assert set(weights[evidence.name]) == set(words)


def test_among_a_handful_of_persons_the_same_one_is_found_and_relatives_are_not(tmp_path: Path) -> None:
    home = {"street": "Mill Lane 5", "city": "Leeds", "postal_code": "LS1", "phone": "+441132000001"}
    con = warehouse(
        [
            person("a1", "Anna", "Miller", birth_date="1980-02-01", **home),
            person("a2", "Anna", "Miller", birth_date="1980-02-01", **{**home, "street": "Mill Ln. 5"}),
            person("kin", "Berta", "Miller", birth_date="1982-07-09", **home),
            person("other", "Carla", "Smith", birth_date="1975-03-30", street="Dock Street 9", city="Hull", postal_code="HU1"),
            person("namesake", "Anna", "Miller", birth_date="1951-11-12", street="Quay 1", city="York", postal_code="YO1"),
        ]
    )  # fmt: skip
    run_pairs_and_clusters(con, tmp_path)
    assert together(con, "a1", "a2")
    assert not together(con, "a1", "kin")
    assert not together(con, "a1", "namesake")
    assert not together(con, "a1", "other")


def test_among_a_handful_of_companies_the_same_one_is_found_and_neighbours_are_not(tmp_path: Path) -> None:
    site = {"street": "Dock Street 5", "city": "Hull", "postal_code": "HU1"}
    con = warehouse(
        [
            company("a1", "borealis", phone="+441130000001", email="info@borealis.org", email_domain="borealis.org", **site),
            company("a2", "borealis", phone="+441130000001", **site),
            company("neighbour", "cirrus", phone="+441130000002", **site),
            company("other", "dynamo", phone="+441130000003", city="York", postal_code="YO1"),
        ]
    )  # fmt: skip
    run_pairs_and_clusters(con, tmp_path)
    assert together(con, "a1", "a2")
    assert not together(con, "a1", "neighbour")
    assert not together(con, "a1", "other")


def test_once_there_are_enough_records_the_next_run_learns_from_them(tmp_path: Path, caplog) -> None:
    def people(count: int):
        return [
            person(f"{number}-{copy}", f"Given{number}", f"Family{number % 7}", email=f"m{number}@mail.org")
            for number in range(count)
            for copy in "ab"
        ]

    first = build_pairs(warehouse(people(5)), tmp_path)
    assert not build_pairs(warehouse(people(6)), tmp_path).kinds[0].trained
    grown = build_pairs(warehouse(people(20)), tmp_path)
    assert grown.kinds[0].trained
    assert grown.kinds[0].model_version != first.kinds[0].model_version
    assert "There are enough persons to learn from now" in caplog.text
    assert not build_pairs(warehouse(people(20)), tmp_path).kinds[0].trained
