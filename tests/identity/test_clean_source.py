"""Source objects that hold nobody twice: found from the data, and one match per record there."""

from pathlib import Path
from typing import Any

from crm_quality.identity.clean_source import build_clean_sources
from tests.identity.scenario import company, run_pairs_and_clusters, together, warehouse

_SYLLABLES = ["bor", "cir", "dyn", "ele", "ful", "gra", "hel", "ind", "jup", "kor", "lum", "mag"]
_NAMES = [f"{a}{b} works" for a in _SYLLABLES for b in _SYLLABLES]


def _two_systems(twice: int) -> list[dict[str, Any]]:
    """144 companies in a CRM and an ERP; `twice` of them twice in the CRM."""
    crm = [company(f"c{n}", name, city="Leeds") for n, name in enumerate(_NAMES)]
    erp = [
        company(f"e{n}", name, city="Leeds", source_system="erp", source_object="customer")
        for n, name in enumerate(_NAMES)
    ]
    return [*crm, *erp, *(company(f"again{n}", _NAMES[n], city="Leeds") for n in range(twice))]


def _clean(parties: list[dict[str, Any]]) -> list[str]:
    con = warehouse(parties)
    con.execute("create schema work")
    build_clean_sources(con, "work")
    rows = con.execute("select distinct clean_source from work.clean_source order by 1").fetchall()
    return [row[0] for row in rows]


def test_a_source_whose_records_have_twins_elsewhere_and_none_inside_holds_nobody_twice() -> None:
    assert _clean(_two_systems(twice=0)) == ["crm|Account", "erp|customer"]


def test_a_source_with_duplicates_is_not_clean() -> None:
    assert _clean(_two_systems(twice=20)) == ["erp|customer"]


def test_nothing_is_concluded_from_one_source_or_where_merges_are_noted() -> None:
    parties = _two_systems(twice=0)
    assert _clean(parties[: len(_NAMES)]) == []
    parties[0] |= {"merged_into_source_id": "c1"}
    assert _clean(parties) == ["erp|customer"]


def test_two_records_of_a_clean_source_are_never_one_customer(tmp_path: Path) -> None:
    parties = _two_systems(twice=0)
    parties.append(company("near", "borbor workss", city="Leeds"))
    con = warehouse(parties)
    run_pairs_and_clusters(con, tmp_path, "best_f1")
    assert together(con, "c0", "e0")
    assert not together(con, "c0", "near")
    most = con.execute(
        "select max(n) from (select count(*) as n from identity.cluster join identity.record using (record_number)"
        " group by cluster_number, source_system)"
    ).fetchone()
    assert most == (1,)
