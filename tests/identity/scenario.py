"""Small warehouses for the identity tests: parties, decisions, and what an earlier run published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from crm_quality import golden, identity
from crm_quality.identity.cluster import ClusterReport, build_clusters
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.features import build_features
from crm_quality.identity.objective import DEFAULT_OBJECTIVE
from crm_quality.identity.pairs import PairReport, build_pairs
from crm_quality.publish.previous import TABLES as PREVIOUS

_TYPES = {
    "extract_date": "date",
    "row_hash": "ubigint",
    "birth_date": "date",
    "company_is_branch": "boolean",
    "email_is_free": "boolean",
    "email_is_disposable": "boolean",
    "is_deleted": "boolean",
    "is_one_time": "boolean",
    "is_flagged_duplicate": "boolean",
}
PARTY_COLUMNS = [
    "source_system",
    "source_object",
    "source_id",
    "extract_date",
    "row_hash",
    "party_type",
    "account_number",
    "full_name_raw",
    "full_name",
    "given_name",
    "family_name",
    "company_name",
    "name_hanzi",
    "given_key",
    "family_key",
    "name_key",
    "company_core",
    "company_key",
    "company_is_branch",
    "name_problem",
    "birth_date_raw",
    "birth_date",
    "gender",
    "tax_id_raw",
    "tax_id",
    "tax_id_problem",
    "national_id_raw",
    "national_id",
    "national_id_problem",
    "email",
    "email_domain",
    "email_is_free",
    "email_is_disposable",
    "phone_raw",
    "phone",
    "phone_kind",
    "phone_problem",
    "mobile_raw",
    "mobile",
    "mobile_problem",
    "website",
    "street",
    "house_number",
    "city",
    "region",
    "postal_code",
    "country",
    "industry",
    "is_deleted",
    "is_one_time",
    "merged_into_source_id",
    "merged_source_ids",
    "is_flagged_duplicate",
    "parent_source_id",
]

_EMPTY = {
    "meta.decision": """
        decision_id bigint, decided_at timestamp, decided_by varchar, kind varchar,
        left_source_system varchar, left_source_object varchar, left_source_id varchar,
        right_source_system varchar, right_source_object varchar, right_source_id varchar,
        field varchar, value varchar, reason varchar, undoes bigint""",
    "previous.customer_xref": """
        customer_id varchar, source_system varchar, source_object varchar, source_id varchar,
        match_probability double, match_reason varchar""",
    "previous.customer_id_event": """
        event_id varchar, run_id varchar, event varchar, customer_id varchar, into_customer_id varchar,
        happened_at timestamp, event_number bigint""",
    "previous.customer_membership": """
        customer_id varchar, source_system varchar, source_object varchar, source_id varchar,
        first_run_id varchar, first_held_at date, last_run_id varchar, last_held_at date, is_current boolean""",
    "previous.record_state": ", ".join(f"{name} {kind}" for name, kind in PREVIOUS["identity.record_state"].items()),
    "previous.pair_run": ", ".join(f"{name} {kind}" for name, kind in PREVIOUS["identity.pair_run"].items()),
    "previous.pair": ", ".join(f"{name} {kind}" for name, kind in PREVIOUS["identity.pair"].items()),
    "identity.conflict": "record_number_l bigint, record_number_r bigint, reason varchar",
    "identity.pair": """
        party_type varchar, record_number_l bigint, record_number_r bigint,
        match_probability double, match_weight double, reason varchar, match_key varchar,
        waterfall struct(step varchar, agreement varchar, bits double)[]""",
    **dict.fromkeys(
        ("core.sales_order", "core.invoice", "core.opportunity"),
        "source_system varchar, party_source_object varchar, party_source_id varchar",
    ),
}


_RECORD_SQL = (Path(identity.__file__).parent / "record.sql").read_text(encoding="utf-8")

_REDIRECT_SQL = (Path(golden.__file__).parent / "customer_redirect.sql").read_text(encoding="utf-8")


def person(source_id: str, given: str, family: str, **fields: Any) -> dict[str, Any]:
    """A person record as core.party holds it."""
    keys = {"given_key": given.lower(), "family_key": family.lower()}
    name_key = " ".join(sorted(f"{given} {family}".lower().split()))
    base = {"source_system": "crm", "source_object": "Contact", "source_id": source_id, "party_type": "person"}
    return {**base, **keys, "name_key": name_key, "country": "GB", **fields}


def company(source_id: str, name: str, **fields: Any) -> dict[str, Any]:
    """An organisation record as core.party holds it; `name` is its core name."""
    base = {"source_system": "crm", "source_object": "Account", "source_id": source_id, "party_type": "organisation"}
    return {**base, "company_name": name, "company_core": name.lower(), "company_key": name.lower(), **fields}


def warehouse(parties: list[dict[str, Any]], day: str = "2026-11-21") -> duckdb.DuckDBPyConnection:
    """An in-memory warehouse with these parties, no decisions and nothing published before."""
    con = _empty(day)
    columns = ", ".join(f"{column} {_TYPES.get(column, 'varchar')}" for column in PARTY_COLUMNS)
    con.execute(f"create table core.party ({columns})")
    rows = [
        [{"extract_date": day, "row_hash": 1, **party}.get(column) for column in PARTY_COLUMNS] for party in parties
    ]
    if rows:
        con.executemany(f"insert into core.party values ({', '.join('?' * len(PARTY_COLUMNS))})", rows)
    build_features(con)
    return con


def bare_warehouse(keys: list[str], day: str = "2026-11-21") -> duckdb.DuckDBPyConnection:
    """A warehouse of records that are nothing but keys, for tests of clustering and ids."""
    con = _empty(day)
    con.execute(
        "create table core.party (source_system varchar, source_object varchar, source_id varchar, party_type varchar)"
    )
    con.execute("insert into core.party select 'crm', 'Contact', unnest(?), 'person'", [keys])
    con.execute(f"create table identity.record as {_RECORD_SQL}")
    return con


def _empty(day: str) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("set threads = 2")
    create_empty_tables(con, day)
    return con


def create_empty_tables(con: duckdb.DuckDBPyConnection, day: str) -> None:
    """All that identity reads beside core.party, as it is before a first run."""
    for schema in ("core", "identity", "meta", "previous", "golden"):
        con.execute(f"create schema {schema}")
    for table, columns in _EMPTY.items():
        con.execute(f"create table {table} ({columns})")
    con.execute("create table meta.current_run as select ? as run_id, ?::date as extract_date", [f"run-{day}", day])


def decide(con: duckdb.DuckDBPyConnection, decision_id: int, kind: str, left: str, right: str) -> None:
    """Append a decision on two records of crm.Contact."""
    con.execute(
        "insert into meta.decision values (?, ?::timestamp, 'anna', ?, 'crm', 'Contact', ?, 'crm', 'Contact', ?,"
        " null, null, 'seen', null)",
        [decision_id, f"2026-11-01 00:00:{decision_id:02}", kind, left, right],
    )


def add_pair(
    con: duckdb.DuckDBPyConnection, left: str, right: str, weight: float, key: str = "name", reason: str = "alike"
) -> None:
    """A scored pair of two records of crm.Contact."""
    con.execute(
        """
        insert into identity.pair
        select 'person', min(record_number), max(record_number), ?, ?, ?, ?, null
        from identity.record where source_id in (?, ?)
        """,
        [1 / (1 + 2**-weight), weight, reason, key, left, right],
    )


def add_conflict(con: duckdb.DuckDBPyConnection, left: str, right: str) -> None:
    """Two records of crm.Contact that cannot be one."""
    con.execute(
        """
        insert into identity.conflict
        select min(record_number), max(record_number), 'different national ids'
        from identity.record where source_id in (?, ?)
        """,
        [left, right],
    )


def run_pairs_and_clusters(
    con: duckdb.DuckDBPyConnection, models: Path, objective: str | float = DEFAULT_OBJECTIVE
) -> tuple[PairReport, ClusterReport]:
    """From features to clusters."""
    pairs = build_pairs(con, models, objective=objective)
    return pairs, build_clusters(con, objective)


def clusters(con: duckdb.DuckDBPyConnection) -> set[frozenset[str]]:
    """The source ids of every cluster."""
    rows = con.execute(
        "select list(source_id) from identity.cluster join identity.record using (record_number) group by cluster_number"
    ).fetchall()
    return {frozenset(row[0]) for row in rows}


def together(con: duckdb.DuckDBPyConnection, *source_ids: str) -> bool:
    """Whether these records are in one cluster."""
    return any(set(source_ids) <= cluster for cluster in clusters(con))


def set_clusters(con: duckdb.DuckDBPyConnection, groups: list[list[str]]) -> None:
    """identity.cluster as given, for tests of ids."""
    rows = [(min(group), key) for group in groups for key in group]
    con.execute("create or replace temp table grouped (first_id varchar, source_id varchar)")
    con.executemany("insert into grouped values (?, ?)", rows)
    con.execute(
        """
        create or replace table identity.cluster as
        select first.record_number as cluster_number, record.record_number,
            1.0 as match_probability, 'only record' as match_reason
        from grouped
        join identity.record as record using (source_id)
        join identity.record as first on first.source_id = grouped.first_id
        """
    )


def ids(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """customer_id of every source id."""
    return dict(con.execute("select source_id, customer_id from identity.customer_xref").fetchall())


def events(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str | None]]:
    """Events of the last run: event, customer_id, into_customer_id."""
    return con.execute(
        """
        select event, customer_id, into_customer_id from identity.customer_id_event
        where event_id not in (select event_id from previous.customer_id_event) order by all
        """
    ).fetchall()


def redirects(con: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    """Where every id that ended leads today."""
    return dict(con.execute(_REDIRECT_SQL).fetchall())


def assign(con: duckdb.DuckDBPyConnection, groups: list[list[str]]) -> dict[str, str]:
    """Ids for these clusters."""
    set_clusters(con, groups)
    build_customer_xref(con)
    return ids(con)


def publish(con: duckdb.DuckDBPyConnection, next_day: str) -> None:
    """Make this run's ids the previous ones, and go on to the next day."""
    present = con.sql("select table_name from duckdb_tables() where schema_name = 'identity'").fetchall()
    for (table,) in con.sql("select table_name from duckdb_tables() where schema_name = 'previous'").fetchall():
        if (table,) in present:
            con.execute(f"create or replace table previous.{table} as from identity.{table}")
    con.execute("update meta.current_run set extract_date = ?::date, run_id = ?", [next_day, f"run-{next_day}"])
