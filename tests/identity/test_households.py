"""Files in which whole families stand: who shares a home, a birth date or an id and is somebody else all the same."""

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from crm_quality.warehouse import scalar
from tests.identity.scenario import person, run_pairs_and_clusters, warehouse

_GIVEN = [
    "anna", "bernd", "sophie", "dieter", "emma", "fritz", "gerda", "hans", "ida", "jonas",
    "karin", "lukas", "marie", "nils", "olga", "paul", "rosa", "stefan", "tina", "ulf",
]  # fmt: skip
_SYLLABLES = [f"{start}{end}" for start in "bdfgklmnrst" for end in ("ar", "el", "os")]


def _family(number: int, chooser: random.Random) -> list[dict[str, Any]]:
    """Parents and three children; of every fourth family two are twins, in every tenth the wife gives her husband's id."""
    family = "".join(chooser.sample(_SYLLABLES, 3))
    given = chooser.sample(_GIVEN, 5)
    births = [date(1955, 1, 1) + timedelta(days=chooser.randrange(7_000)) for _ in range(2)]
    births += [date(1985, 1, 1) + timedelta(days=chooser.randrange(9_000)) for _ in range(3)]
    if number % 4 == 0:
        births[4] = births[3]
    ids = [f"{chooser.randrange(10**9):09}" for _ in range(5)]
    if number % 10 == 0:
        ids[1] = ids[0]
    home = {
        "street": f"{'abcdefgh'[number % 8] * 5} street {number}",
        "city": "Hull",
        "postal_code": f"{10_000 + number}",
    }
    return [
        person(f"{number}.{at}", given[at], family, birth_date=str(births[at]), national_id_raw=ids[at], **home)
        for at in range(5)
    ]


def _town(families: int, entered_twice: int) -> list[dict[str, Any]]:
    chooser = random.Random(11)
    parties = [member for number in range(families) for member in _family(number, chooser)]
    again = chooser.sample(parties, entered_twice)
    return [*parties, *({**party, "source_object": "Lead", "street": None} for party in again)]


def _mixed(con: duckdb.DuckDBPyConnection) -> int:
    """Clusters with records of several persons."""
    return scalar(
        con,
        """
        select count(*) from (
            select cluster_number from identity.cluster join identity.record using (record_number)
            group by cluster_number having count(distinct source_id) > 1
        )
        """,
    )


def _joined(con: duckdb.DuckDBPyConnection) -> int:
    """Records less clusters."""
    return scalar(con, "select count(*) - count(distinct cluster_number) from identity.cluster")


@pytest.mark.parametrize("objective", [0.995, "best_f1"])
def test_relatives_twins_and_couples_with_one_id_stay_apart(tmp_path: Path, objective: str | float) -> None:
    con = warehouse(_town(100, 150))
    run_pairs_and_clusters(con, tmp_path, objective)
    assert _mixed(con) == 0
    assert _joined(con) == 150


@pytest.mark.parametrize("objective", [0.995, "best_f1"])
def test_twins_stay_apart_where_nothing_but_their_names_tells_them(tmp_path: Path, objective: str | float) -> None:
    parties = [{**party, "national_id_raw": None} for party in _town(100, 0)]
    again = [{**party, "source_object": "Lead"} for party in parties[::3]]
    con = warehouse([*parties, *again])
    run_pairs_and_clusters(con, tmp_path, objective)
    assert _mixed(con) == 0
    assert _joined(con) == len(again)


@pytest.mark.parametrize("objective", [0.995, "best_f1"])
def test_where_nobody_is_entered_twice_nobody_is_joined(tmp_path: Path, objective: str | float) -> None:
    con = warehouse(_town(200, 0))
    run_pairs_and_clusters(con, tmp_path, objective)
    assert _joined(con) == 0


def test_who_was_born_on_one_day_by_chance_is_not_joined_where_nobody_is_entered_twice(tmp_path: Path) -> None:
    chooser = random.Random(5)
    names = [(given, f"{a}{b}") for given in _GIVEN for a in _SYLLABLES for b in _SYLLABLES if a != b]
    parties = [
        person(f"{at}", given, family, birth_date=str(date(1980, 1, 1) + timedelta(days=chooser.randrange(3_000))))
        for at, (given, family) in enumerate(chooser.sample(names, 1_600))
    ]
    con = warehouse(parties)
    run_pairs_and_clusters(con, tmp_path, "best_f1")
    assert _joined(con) < 30  # of 1,600, of whom some 400 share a birth date with another


def test_another_id_is_no_conflict_where_ids_are_entered_carelessly_but_tells_relatives_apart(tmp_path: Path) -> None:
    parties = [{**party, "birth_date": None, "national_id": party["national_id_raw"]} for party in _town(100, 0)]
    careless = [{**party, "source_object": "Lead"} for party in parties[::2]]
    for number, party in enumerate(careless[::5]):
        party["national_id"] = party["national_id_raw"] = f"{number * 7_919_777 % 10**9:09}"
    con = warehouse([*parties, *careless])
    run_pairs_and_clusters(con, tmp_path, "best_f1")
    assert _mixed(con) == 0
    assert _joined(con) == len(careless)


def test_where_nothing_but_names_and_homes_is_known_relatives_are_known_by_their_given_names(tmp_path: Path) -> None:
    bare = {"birth_date": None, "national_id_raw": None}
    parties = [{**party, **bare} for party in _town(120, 0)]
    again = [{**party, "source_object": "Lead"} for party in parties[::3]]
    con = warehouse([*parties, *again])
    run_pairs_and_clusters(con, tmp_path, "best_f1")
    assert _mixed(con) == 0
    assert _joined(con) == len(again)
