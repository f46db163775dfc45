"""Matches without a model: shared identifiers, customer numbers, and what sources declare."""

from typing import Any

import duckdb

from crm_quality.identity.certain import build_certain
from tests.identity.scenario import company, person, warehouse


def _links(parties: list[dict[str, Any]]) -> dict[frozenset[str], str]:
    con: duckdb.DuckDBPyConnection = warehouse(parties)
    con.execute("create schema work")
    build_certain(con, "work")
    rows = con.execute(
        """
        select l.source_object || l.source_id, r.source_object || r.source_id, reason
        from work.certain
        join identity.record as l on l.record_number = record_number_l
        join identity.record as r on r.record_number = record_number_r
        """
    ).fetchall()
    con.close()
    return {frozenset((left, right)): reason for left, right, reason in rows}


def _numbered(source_object: str, names: list[str], **fields: Any) -> list[dict[str, Any]]:
    return [
        person(f"{number}", name, "Maier", source_object=source_object, account_number=f"K{number}", **fields)
        for number, name in enumerate(names)
    ]


def test_companies_with_one_tax_id_are_linked_with_the_reason() -> None:
    found = _links(
        [
            company("1", "acme", tax_id="T1"),
            company("2", "acme holding", tax_id="T1"),
            company("3", "bolt", tax_id="T2"),
        ]
    )
    assert found == {frozenset(("Account1", "Account2")): "same tax id"}


def test_a_tax_id_on_companies_of_many_names_is_no_identity() -> None:
    assert _links([company(f"{number}", f"name {number}", tax_id="T1") for number in range(7)]) == {}


def test_an_invalid_identifier_links_nothing() -> None:
    assert _links([person(key, "A", "B", national_id="1", national_id_problem="check digit") for key in "12"]) == {}


def test_a_national_id_of_two_given_names_is_certain_only_with_the_birth_date() -> None:
    def couple(**wife: str) -> list[dict[str, Any]]:
        return [
            person("1", "Robert", "Dunkin", national_id="1", birth_date="1970-01-02"),
            person("2", "Cynthia", "Dunkin", national_id="1", **wife),
        ]

    assert _links(couple()) == {}
    assert _links(couple(birth_date="1970-01-02")) == {frozenset(("Contact1", "Contact2")): "same national id"}
    renamed = [person("1", "Cynthia", "Dunkin", national_id="1"), person("2", "Cynthia", "Abel", national_id="1")]
    assert _links(renamed) == {frozenset(("Contact1", "Contact2")): "same national id"}


def test_a_customer_number_links_records_of_two_systems() -> None:
    names = ["Anna", "Berta", "Clara"]
    found = _links(_numbered("Contact", names) + _numbered("Customer", names))
    assert found == {frozenset((f"Contact{n}", f"Customer{n}")): "same customer number" for n in range(3)}


def test_a_customer_number_links_a_record_that_has_nothing_else() -> None:
    bare = [{**party, "name_key": None} for party in _numbered("Customer", ["Anna", "Berta"])]
    assert len(_links(_numbered("Contact", ["Anna", "Berta"]) + bare)) == 2


def test_numbers_that_two_systems_count_on_their_own_link_nothing() -> None:
    here = _numbered("Contact", ["Anna", "Berta", "Clara", "Dora", "Emma", "Frida"])
    there = _numbered("Customer", ["Xaver", "Yusuf", "Zeno", "Quirin", "Ulrich", "Viktor"])
    assert _links(here + [{**party, "name_key": f"other {party['name_key'][-5:]}"} for party in there]) == {}


def test_a_number_that_many_records_of_an_object_share_links_nothing() -> None:
    shared = [person(f"{number}", "Anna", "Maier", account_number="K1") for number in range(3)]
    assert _links([*shared, *_numbered("Customer", ["Anna", "Berta"])]) == {}


def test_a_merged_record_follows_its_survivor_in_the_same_object() -> None:
    parties = [
        person("1", "Anna", "Maier", merged_into_source_id="2", is_deleted=True),
        person("2", "Anna", "Maier"),
        person("2", "Otto", "Huber", source_object="Lead"),
        person("3", "Olga", "Huber", merged_into_source_id="missing"),
    ]
    assert _links(parties) == {frozenset(("Contact1", "Contact2")): "merged by the source"}


def test_a_record_that_lists_what_it_took_in_is_joined_with_what_is_still_there() -> None:
    parties = [
        person("1", "Anna", "Maier", merged_source_ids="2:1700000000;9"),
        person("2", "Anna", "Huber"),
        person("2", "Otto", "Huber", source_object="Lead"),
        person("3", "Olga", "Huber", merged_source_ids="4, 5"),
        person("4", "Olga", "Gruber"),
        person("5", "Olga", "Huber-Gruber"),
    ]
    assert _links(parties) == dict.fromkeys(
        [frozenset(("Contact1", "Contact2")), frozenset(("Contact3", "Contact4")), frozenset(("Contact3", "Contact5"))],
        "merged by the source",
    )
