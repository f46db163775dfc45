"""A night that compares only what changed ends as one that compares everything."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from crm_quality.identity.cluster import build_clusters
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.features import build_features
from crm_quality.identity.pairs import PairReport, build_pairs
from crm_quality.identity.verify import build_pairs_verified
from tests.identity.scenario import PARTY_COLUMNS, company, person, publish, warehouse

GIVEN = [
    "Anna",
    "Berta",
    "Carla",
    "Dora",
    "Emma",
    "Frida",
    "Gerda",
    "Hanna",
    "Ida",
    "Jana",
    "Karin",
    "Lena",
    "Maria",
    "Nora",
    "Olga",
    "Paula",
]
FAMILY = [
    "Adler",
    "Bauer",
    "Conrad",
    "Decker",
    "Engel",
    "Fischer",
    "Graf",
    "Huber",
    "Jung",
    "Keller",
    "Lang",
    "Maier",
    "Neumann",
    "Otto",
    "Pohl",
    "Roth",
]
WORDS = ["alpha", "beta", "gamma", "delta", "omega", "solar", "hydro", "micro", "macro", "nova", "terra", "luna"]
TRADES = ["steel", "glass", "paper", "foods", "tools", "parts"]


def _party(chooser: random.Random, number: int) -> dict[str, Any]:
    """Record `number`: one of about three records of a person, or of a company; slips included."""
    entity = random.Random(number // 3)
    city = entity.choice(["Bonn", "Ulm", "Hof"])
    phone = f"+4922{entity.randrange(10**7):07}"
    if number % 2:
        name = f"{entity.choice(WORDS)} {entity.choice(WORDS)} {entity.choice(TRADES)}"
        words = name.split()[: 2 if chooser.random() < 0.2 else 3]
        return company(f"c{number}", " ".join(words), phone=phone if chooser.random() < 0.7 else None, city=city)
    given, family = entity.choice(GIVEN), entity.choice(FAMILY)
    return person(
        f"p{number}",
        given,
        family if chooser.random() < 0.9 else family[:-1] + "x",
        email=f"{given}.{family}{entity.randrange(99)}@mail.org".lower() if chooser.random() < 0.6 else None,
        mobile=phone if chooser.random() < 0.6 else None,
        birth_date=f"19{entity.randrange(50, 99)}-0{entity.randrange(1, 9)}-15" if chooser.random() < 0.5 else None,
        city=city,
    )


def _replace(con: duckdb.DuckDBPyConnection, parties: list[dict[str, Any]]) -> None:
    con.execute("delete from core.party")
    rows = [[{"extract_date": "2026-11-22", **party}.get(column) for column in PARTY_COLUMNS] for party in parties]
    con.executemany(f"insert into core.party values ({', '.join('?' * len(PARTY_COLUMNS))})", rows)
    build_features(con)


def _night(con: duckdb.DuckDBPyConnection, models: Path, *, incremental: bool) -> tuple[PairReport, dict[str, Any]]:
    report = build_pairs(con, models, incremental=incremental)
    build_clusters(con)
    build_customer_xref(con)
    tables = ("pair", "conflict", "cluster", "customer_xref", "record_state")
    return report, {table: con.execute(f"from identity.{table} order by all").fetchall() for table in tables}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models trained on the first night."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch, warehouse(_first_night()) as con:
        patch.setattr("crm_quality.identity.blocking.ALL_PAIRS", 0)
        build_pairs(con, folder)
    return folder


def _first_night() -> list[dict[str, Any]]:
    chooser = random.Random(1)
    return [_party(chooser, number) for number in range(400)]


@settings(deadline=None, max_examples=2, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(0, 40), st.integers(0, 20))
def test_incremental_is_full(models: Path, seed: int, changed: int, new: int, deleted: int) -> None:
    chooser = random.Random(seed)
    parties = _first_night()
    with pytest.MonkeyPatch.context() as patch, warehouse(parties) as con:
        patch.setattr("crm_quality.identity.blocking.ALL_PAIRS", 0)
        # Small, so that new records push values over it.
        patch.setattr("crm_quality.identity.blocking.LARGEST_BLOCK", 12)
        patch.setattr("crm_quality.identity.reuse.MOST_CHANGED", 1.0)
        _night(con, models, incremental=True)
        publish(con, "2026-11-22")
        for place in chooser.sample(range(len(parties)), changed):
            parties[place] = {**_party(chooser, place), "source_id": parties[place]["source_id"]}
        parties += [_party(chooser, chooser.randrange(400, 700) * 2 + place % 2) for place in range(new)]
        parties = [*{party["source_id"]: party for party in parties}.values()]
        parties = chooser.sample(parties, len(parties) - deleted)
        _replace(con, parties)
        report, incremental = _night(con, models, incremental=True)
        full_report, full = _night(con, models, incremental=False)
        assert incremental == full
        assert all(kind.reuse.reused_pairs for kind in report.kinds)
        assert not any(kind.reuse.reused_pairs for kind in full_report.kinds)


def test_a_night_without_a_change_compares_nothing(models: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, warehouse(_first_night()) as con:
        patch.setattr("crm_quality.identity.blocking.ALL_PAIRS", 0)
        _, first = _night(con, models, incremental=True)
        publish(con, "2026-11-22")
        report, second = _night(con, models, incremental=True)
        assert second == first
        assert [kind.reuse.compared_pairs for kind in report.kinds] == [0, 0]


def test_another_model_compares_everything_anew(models: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, warehouse(_first_night()) as con:
        patch.setattr("crm_quality.identity.blocking.ALL_PAIRS", 0)
        _night(con, models, incremental=True)
        publish(con, "2026-11-22")
        con.execute("delete from core.party where source_id in ('p0', 'c1', 'p2', 'c3')")
        build_features(con)
        report = build_pairs(con, tmp_path)
        assert all(kind.trained and kind.reuse.unchanged == 0 for kind in report.kinds)


def test_every_so_many_days_a_full_comparison_must_agree(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    def runs() -> list[tuple[Any, ...]]:
        build_pairs_verified(con, models, every_days=7)
        return con.sql("select is_verified, differing_pairs from identity.pair_run order by extract_date").fetchall()

    with pytest.MonkeyPatch.context() as patch, warehouse(_first_night()[:120]) as con:
        patch.setattr("crm_quality.identity.blocking.ALL_PAIRS", 0)
        assert runs() == [(False, None)]
        publish(con, "2026-11-24")
        assert runs()[-1] == (False, None)
        publish(con, "2026-11-28")
        assert runs()[-1] == (True, 0)
        # A stored score that no comparison would give.
        con.execute("update identity.pair set match_weight = 3.3333 where rowid = 0")
        publish(con, "2026-12-05")
        assert runs()[-1] == (True, 2)
    assert "2 other pair(s) than comparing all" in caplog.text
