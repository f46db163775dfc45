"""Assign lasting customer ids to clusters. Belongs here: id continuity. Does not: scoring, survivorship."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

# Crockford's base 32: no letters that are mistaken for digits.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 12

# Where every id that ever was leads today; NULL for a customer that is no more.
RESOLVE_SQL = """
    with recursive step as (
        select customer_id, customer_id as current_id, 0 as steps
        from (select distinct customer_id from identity.customer_id_event where event = 'new')
        union all
        select step.customer_id, event.into_customer_id, step.steps + 1
        from step
        join identity.customer_id_event as event
            on event.customer_id = step.current_id and event.event in ('merge', 'retire')
    )
    select customer_id, arg_max(current_id, steps) filter (current_id is not null or steps > 0) as last_id,
        case when bool_or(current_id is null) then null else arg_max(current_id, steps) end as current_customer_id
    from step
    group by customer_id
"""


@dataclass(frozen=True)
class IdReport:
    """How many ids live after this run, and how many events of each kind it added."""

    customers: int
    events: dict[str, int]


def build_customer_xref(con: duckdb.DuckDBPyConnection) -> IdReport:
    """(Re)create identity.customer_xref and identity.customer_id_event from identity.cluster and the last publish.

    An id stays with the cluster that holds most of its records; of equal claims the older id wins (the earlier
    `new` event, then the smaller id). A pure function of identity.cluster, previous.customer_xref,
    previous.customer_id_event and meta.current_run.
    """
    _claims(con)
    _settle_claims(con)
    _mint(con)
    con.execute(
        """
        create or replace table identity.customer_xref as
        select
            owner.customer_id,
            cluster.source_system, cluster.source_object, cluster.source_id,
            cluster.match_probability, cluster.match_reason
        from identity.cluster as cluster
        join id_owner as owner using (cluster_id)
        """
    )
    _write_events(con)
    events = con.execute(
        """
        select event, count(*) from identity.customer_id_event
        anti join previous.customer_id_event using (event_id)
        group by event order by event
        """
    ).fetchall()
    (customers,) = con.execute("select count(*) from id_owner").fetchone() or (0,)
    for table in ("id_claim", "id_owner", "id_unsettled", "id_age"):
        con.execute(f"drop table if exists {table}")
    return IdReport(int(customers), {str(event): int(count) for event, count in events})


def resolve(con: duckdb.DuckDBPyConnection, customer_id: str) -> str | None:
    """The id that a customer goes by today; None if it was retired or never existed."""
    row = con.execute(
        f"select current_customer_id from ({RESOLVE_SQL}) where customer_id = ?", [customer_id]
    ).fetchone()
    return str(row[0]) if row and row[0] else None


def _claims(con: duckdb.DuckDBPyConnection) -> None:
    """id_claim: how many records of an old id each cluster holds, with a rank that no two claims share."""
    con.execute(
        """
        create or replace temp table id_age as
        select
            old.customer_id,
            row_number() over (order by min(event.happened_at) nulls last, old.customer_id) as age
        from (select distinct customer_id from previous.customer_xref) as old
        left join previous.customer_id_event as event
            on event.customer_id = old.customer_id and event.event = 'new'
        group by old.customer_id
        """
    )
    con.execute(
        """
        create or replace temp table id_claim as
        select
            cluster_id, customer_id, age, records,
            row_number() over (order by records desc, age, cluster_id) as priority
        from (
            select cluster.cluster_id, xref.customer_id, any_value(id_age.age) as age, count(*) as records
            from identity.cluster as cluster
            join previous.customer_xref as xref using (source_system, source_object, source_id)
            join id_age on id_age.customer_id = xref.customer_id
            group by cluster.cluster_id, xref.customer_id
        )
        """
    )


def _settle_claims(con: duckdb.DuckDBPyConnection) -> None:
    """id_owner: go through the claims by priority; each cluster and each id is settled once.

    A claim that is the best of its cluster and of its id cannot be beaten, so all of those are settled at once;
    what they exclude is dropped, and the rest looked at again.
    """
    con.execute("create or replace temp table id_owner (cluster_id varchar, customer_id varchar, minted boolean)")
    con.execute("create or replace temp table id_unsettled as select cluster_id, customer_id, priority from id_claim")
    while (con.execute("select count(*) from id_unsettled").fetchone() or (0,))[0]:
        con.execute(
            """
            insert into id_owner
            select cluster_id, customer_id, false
            from (
                select
                    *,
                    min(priority) over (partition by cluster_id) as best_of_cluster,
                    min(priority) over (partition by customer_id) as best_of_id
                from id_unsettled
            )
            where priority = best_of_cluster and priority = best_of_id
            """
        )
        con.execute(
            """
            create or replace temp table id_unsettled as
            select * from id_unsettled
            where cluster_id not in (select cluster_id from id_owner)
                and customer_id not in (select customer_id from id_owner)
            """
        )


def minted_id(key: str, attempt: str) -> str:
    """SQL for the id minted from the SQL expression `key`: C and 60 bits of its SHA-256 in base 32."""
    text = f"sha256(case when {attempt} = 0 then {key} else concat({key}, '#', {attempt}) end)"
    bits = f"cast(concat('0x', left({text}, 15)) as ubigint)"
    digits = ", ".join(
        f"substr('{_ALPHABET}', cast((bits >> {5 * place}) & 31 as integer) + 1, 1)"
        for place in reversed(range(_LENGTH))
    )
    return f"(select concat('C', {digits}) from (select {bits} as bits))"


def _mint(con: duckdb.DuckDBPyConnection) -> None:
    """Give every cluster without an id a new one, from its smallest source key; an id once used is never used again."""
    con.execute(
        """
        create or replace temp table id_unsettled as
        select distinct cluster_id from identity.cluster
        where cluster_id not in (select cluster_id from id_owner)
        """
    )
    attempt = 0
    while (con.execute("select count(*) from id_unsettled").fetchone() or (0,))[0]:
        con.execute(
            f"""
            insert into id_owner
            select cluster_id, customer_id, true
            from (select cluster_id, {minted_id("cluster_id", str(attempt))} as customer_id from id_unsettled)
            where customer_id not in (
                select customer_id from previous.customer_id_event where customer_id is not null
                union select customer_id from previous.customer_xref
                union select customer_id from id_owner
            )
            qualify row_number() over (partition by customer_id order by cluster_id) = 1
            """
        )
        con.execute("delete from id_unsettled where cluster_id in (select cluster_id from id_owner)")
        attempt += 1


def _write_events(con: duckdb.DuckDBPyConnection) -> None:
    """identity.customer_id_event: all earlier events and those of this run.

    new     an id is minted
    split   records of a living id, or of one that ended, went to another customer than the rest
    merge   an id ended; most of its records are with `into_customer_id` now
    retire  an id ended; none of its records is left
    """
    con.execute(
        """
        create or replace table identity.customer_id_event as
        with claim as (
            select
                id_claim.customer_id,
                owner.customer_id as holder,
                kept.customer_id is not null as alive,
                row_number() over (partition by id_claim.customer_id order by id_claim.priority) as choice
            from id_claim
            join id_owner as owner on owner.cluster_id = id_claim.cluster_id
            left join id_owner as kept on kept.customer_id = id_claim.customer_id
        ),
        happened as (
            select 'new' as event, customer_id, cast(null as varchar) as into_customer_id
            from id_owner where minted
            union all
            select 'split', customer_id, holder
            from claim where holder <> customer_id and (alive or choice > 1)
            union all
            select 'merge', customer_id, holder
            from claim where not alive and choice = 1
            union all
            select 'retire', customer_id, null
            from id_age where customer_id not in (select customer_id from claim)
        ),
        repeated as (
            select happened.*, count(earlier.event_id) as times
            from happened
            left join previous.customer_id_event as earlier
                on earlier.event = happened.event and earlier.customer_id = happened.customer_id
                and earlier.into_customer_id is not distinct from happened.into_customer_id
            group by all
        )
        select event_id, run_id, event, customer_id, into_customer_id, happened_at
        from previous.customer_id_event
        union all
        select
            left(sha256(concat_ws('|', run.extract_date, event, customer_id, into_customer_id, times)), 16) as event_id,
            run.run_id,
            event,
            customer_id,
            into_customer_id,
            cast(run.extract_date as timestamp)
        from repeated
        cross join meta.current_run as run
        """
    )
