"""What speaks for and against one customer, on so few records that the weights are set."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from crm_quality.identity.typical import FEW_RECORDS
from tests.identity.scenario import company, person, run_pairs_and_clusters, together, warehouse


@pytest.fixture(autouse=True)
def set_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm_quality.identity.training.FEW_RECORDS", FEW_RECORDS)
    monkeypatch.setattr("crm_quality.identity.pairs.FEW_RECORDS", FEW_RECORDS)


HOME = {"street": "Hill Road", "house_number": "7", "postal_code": "LS1 4AP", "city": "Leeds"}
ELSEWHERE = {"street": "Quay Street", "house_number": "12", "postal_code": "BS1 5TR", "city": "Bristol"}
# Who fills the columns that the others have no values in.
OTHERS = [
    person("x", "Olga", "Nowak", email="o.nowak77@web.de", phone_kind="fixed", birth_date="1960-01-31", **ELSEWHERE),
    person("y", "Hugo", "Brandt", email="hb@web.de", mobile="+447700900999", birth_date="1971-03-08", gender="male"),
]


def run(tmp_path: Path, *parties: dict[str, Any], objective: str | float = "best_f1") -> duckdb.DuckDBPyConnection:
    con = warehouse([*parties, *OTHERS])
    run_pairs_and_clusters(con, tmp_path, objective)
    return con


def reason(con: duckdb.DuckDBPyConnection) -> str:
    """Of the pair of the first two records."""
    row = con.execute("select reason from identity.pair where record_number_l = 1 and record_number_r = 2").fetchone()
    return str(row[0]) if row else ""


@pytest.mark.parametrize("objective", [0.995, "best_f1"])
def test_who_shares_a_home_but_neither_name_is_another(tmp_path: Path, objective: str | float) -> None:
    landline = {"phone": "+441132960111", "phone_kind": "fixed", **HOME}
    con = run(
        tmp_path,
        person("1", "Mario", "Giralt", **landline),
        person("2", "Pepita", "Verdugo", **landline),
        objective=objective,
    )
    assert not together(con, "1", "2")


def test_another_mail_address_at_home_makes_a_son_only_where_a_precision_is_to_be_kept(tmp_path: Path) -> None:
    parties = [
        person("1", "Mark", "Tucker", email="mt4401@web.de", **HOME),
        person("2", "Mark", "Tucker", email="flowershop@x.com", **HOME),
    ]
    assert together(run(tmp_path, *parties), "1", "2")
    assert not together(run(tmp_path, *parties, objective=0.995), "1", "2")


@pytest.mark.parametrize(("one", "other"), [("ann.lee@a.com", "lee_ann@b.com"), ("annlee@a.com", "alee55@b.com")])
def test_mail_addresses_that_are_the_name_once_more_say_nothing(tmp_path: Path, one: str, other: str) -> None:
    con = run(tmp_path, person("1", "Ann", "Lee", email=one, **HOME), person("2", "Ann", "Lee", email=other, **HOME))
    assert "e-mail" not in reason(con)


def test_mail_addresses_with_the_same_word_that_is_no_name_say_something(tmp_path: Path) -> None:
    con = run(
        tmp_path,
        person("1", "Ann", "Lee", email="moonlight@alpha.com", **HOME),
        person("2", "Ann", "Lee", email="moonlight@beta.org", **HOME),
    )
    assert "similar e-mail name" in reason(con)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("2000-11-29", "2000-11-92", "similar birth date"),
        ("1939-10-19", "1939-13-19", "similar birth date"),
        ("19670301", "19670001", "similar birth date"),
        ("01.03.1967", "00.03.1967", "similar birth date"),
    ],
)
def test_a_slip_that_makes_a_date_impossible_is_a_slip_all_the_same(
    tmp_path: Path, one: str, other: str, words: str
) -> None:
    con = run(
        tmp_path,
        person("1", "Ann", "Lee", birth_date_raw=one, **HOME),
        person("2", "Ann", "Lee", birth_date_raw=other, **HOME),
    )
    assert words in reason(con)


@pytest.mark.parametrize("text", ["0000-00-00", "9999-12-31", "1800-01-01", "unknown", "12/1999"])
def test_a_date_that_stands_for_none_is_none(text: str) -> None:
    con = warehouse([person("1", "Ann", "Lee", birth_date_raw=text)])
    assert con.execute("select birth_date from identity.person_feature").fetchall() == [(None,)]


def test_japanese_characters_do_not_contradict_a_name_in_latin_letters(tmp_path: Path) -> None:
    same = {"mobile": "+819012345678", "country": "JP", **HOME}
    kanji = person("1", "qinai", "shichuan", name_hanzi="石川七夏", **same)
    con = run(tmp_path, kanji, person("2", "nanaka", "ishikawa", **same))
    assert "name" not in reason(con)
    con = run(tmp_path, {**kanji, "country": "CN"}, person("2", "nanaka", "ishikawa", **{**same, "country": "CN"}))
    assert "different name" in reason(con)


def test_a_company_without_a_name_is_known_by_its_web_domain_and_address(tmp_path: Path) -> None:
    known = {"website": "tinholm.com", **HOME}
    nameless = {**company("2", "", **known), "company_name": None, "company_core": None, "company_key": None}
    others = [company("3", "Harbour Mills", website="harbourmills.com", **ELSEWHERE), company("4", "Ridge Foods")]
    con = run(tmp_path, company("1", "Tinholm", **known), nameless, *others)
    assert together(con, "1", "2")
    con = run(tmp_path / "other", company("1", "Tinholm", **known), {**nameless, "website": "quayside.org"}, *others)
    assert not together(con, "1", "2")
