"""Customers that belong together and are not one."""

from pathlib import Path

from crm_quality import identity
from crm_quality.identity.customer_id import build_customer_xref
from tests.identity.scenario import company, person, run_pairs_and_clusters, together, warehouse

_RELATION_SQL = (Path(identity.__file__).parent / "relation.sql").read_text(encoding="utf-8")
_HOME = {"street": "High Street", "house_number": "5", "city": "Leeds", "postal_code": "LS1"}


def test_households_and_groups_are_recorded_as_relations_and_not_merged(tmp_path: Path) -> None:
    con = warehouse(
        [
            person("father", "John", "Smith", birth_date="1950-02-01", **_HOME),
            person("son", "John", "Smith", birth_date="1982-09-17", **_HOME),
            person("partner", "Mary", "Jones", birth_date="1983-01-30", **_HOME),
            # At work, where the colleague lives too as far as the CRM knows.
            person("clerk", "Ann", "Lee", company_core="orbital", company_key="orbital", **_HOME),
            person("elsewhere", "Paul", "Smith", street="Low Road", house_number="5", city="Leeds"),
            company("parent", "orbital", website="orbital.com", tax_id="GB111", tax_id_raw="GB111"),
            company("child", "orbital transport", website="orbital.com", tax_id="GB222", tax_id_raw="GB222"),
            company("other", "pinnacle", website="pinnacle.com"),
        ]
    )
    run_pairs_and_clusters(con, tmp_path)
    assert not together(con, "father", "son")
    assert not together(con, "parent", "child")
    build_customer_xref(con)
    con.execute(f"create table identity.relation as {_RELATION_SQL}")
    rows = con.execute(
        """
        select least(l.source_id, r.source_id), greatest(l.source_id, r.source_id), relation, reason
        from identity.relation
        join identity.customer_xref as l using (customer_id)
        join identity.customer_xref as r on r.customer_id = related_customer_id
        order by all
        """
    ).fetchall()
    assert rows == [
        ("child", "parent", "same_group", "web domain"),
        ("father", "partner", "same_household", "address"),
        ("father", "son", "same_household", "address"),
        ("partner", "son", "same_household", "address"),
    ]


def test_a_house_of_many_parties_is_no_household(tmp_path: Path) -> None:
    con = warehouse([person(f"{n}", f"Given{n}", f"Family{n}", **_HOME) for n in range(9)])
    run_pairs_and_clusters(con, tmp_path)
    build_customer_xref(con)
    con.execute(f"create table identity.relation as {_RELATION_SQL}")
    assert con.execute("select count(*) from identity.relation").fetchone() == (0,)
