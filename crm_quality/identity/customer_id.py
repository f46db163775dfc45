"""Assign lasting customer ids to clusters. Belongs here: id continuity. Does not: scoring, survivorship."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

# Crockford's base 32: no letters that are mistaken for digits.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 12
# Of ids nearly every one is another: DuckDB seeks a dictionary of them in vain, three times as long as zstd takes.
_ID = "varchar using compression zstd"
_TABLES = {
    "customer_xref": f"customer_id {_ID}, record_number bigint, source_system varchar, source_object varchar,"
    f" source_id {_ID}, match_probability double, match_reason varchar",
    "customer_id_event": f"event_id {_ID}, run_id varchar, event varchar, customer_id {_ID}, into_customer_id varchar,"
    " happened_at timestamp, event_number bigint",
    "customer_membership": f"customer_id {_ID}, source_system varchar, source_object varchar, source_id {_ID},"
    " first_run_id varchar, first_held_at date, last_run_id varchar, last_held_at date, is_current boolean",
}


@dataclass(frozen=True)
class IdReport:
    """How many ids live after this run, and how many events of each kind it added."""

    customers: int
    events: dict[str, int]


def build_customer_xref(con: duckdb.DuckDBPyConnection) -> IdReport:
    """(Re)create identity.customer_xref, identity.customer_id_event and identity.customer_membership.

    An id stays with the cluster that holds most of its records; of equal claims the older id wins (the earlier
    `new` event, then the smaller id), and of equal parts the one that held it longer, not one that came with another id. A cluster that inherits no id
    gets back one that ended with most of its records here, so that what is unmerged is as it was before; else a new
    one. A pure function of identity.record and cluster, of previous.customer_xref, customer_id_event and customer_membership,
    and of meta.current_run.
    """
    for table, columns in _TABLES.items():
        con.execute(f"create or replace table identity.{table} ({columns})")
    _claims(con)
    con.execute(
        "create or replace temp table id_owner as"
        " select cluster_number, customer_id, 'kept' as origin from id_claim where not is_contested"
    )
    _settle(con, "id_contest", "kept")
    _claims_of_ended(con)
    _settle(con, "id_claim_of_ended", "restored")
    _mint(con)
    con.execute(
        """
        insert into identity.customer_xref
        select
            owner.customer_id,
            cluster.record_number,
            record.source_system, record.source_object, record.source_id,
            cluster.match_probability, cluster.match_reason
        from identity.cluster as cluster
        join identity.record as record using (record_number)
        join id_owner as owner using (cluster_number)
        """
    )
    _write_events(con)
    _write_membership(con)
    events = con.execute(
        """
        select event, count(*) from identity.customer_id_event
        anti join previous.customer_id_event using (event_id)
        group by event order by event
        """
    ).fetchall()
    (customers,) = con.execute("select count(*) from id_owner").fetchone() or (0,)
    for table in ("id_claim", "id_contest", "id_claim_of_ended", "id_owner", "id_unsettled"):
        con.execute(f"drop table if exists {table}")
    return IdReport(int(customers), {str(event): int(count) for event, count in events})


def _claims(con: duckdb.DuckDBPyConnection) -> None:
    """id_claim: how many records of a living id each cluster holds; id_contest: the claims that exclude each other,
    with a rank that no two of them share.

    Nearly every cluster holds records of one id, and nearly every id is in one cluster: nothing is to be weighed there.
    """
    con.execute(
        """
        create or replace temp table id_claim as
        with claim as (
            select cluster.cluster_number, xref.customer_id, count(*) as records
            from previous.customer_xref as xref
            join identity.record as record using (source_system, source_object, source_id)
            join identity.cluster as cluster on cluster.record_number = record.record_number
            group by cluster.cluster_number, xref.customer_id
        )
        select
            *,
            cluster_number in (select cluster_number from claim group by cluster_number having count(*) > 1)
            or customer_id in (select customer_id from claim group by customer_id having count(*) > 1) as is_contested
        from claim
        """
    )
    con.execute(
        f"""
        create or replace temp table id_contest as
        with contested as (select * from id_claim where is_contested),
        age as ({_age("select customer_id from contested")}),
        ended_record as (
            select distinct (source_system, source_object, source_id) as record
            from previous.customer_membership
            where not is_current and customer_id not in (select customer_id from previous.customer_xref)
        ),
        held as (
            select
                contested.cluster_number,
                contested.customer_id,
                min(membership.first_held_at) as held_since,
                -- of runs of one day, what came from an id that has ended since came later
                count(*) filter (
                    (record.source_system, record.source_object, record.source_id) in (select record from ended_record)
                ) as inherited
            from contested
            join identity.cluster as cluster using (cluster_number)
            join identity.record as record using (record_number)
            join previous.customer_xref as xref
                on xref.customer_id = contested.customer_id
                and xref.source_system = record.source_system
                and xref.source_object = record.source_object and xref.source_id = record.source_id
            left join previous.customer_membership as membership
                on membership.is_current and membership.customer_id = xref.customer_id
                and membership.source_system = xref.source_system
                and membership.source_object = xref.source_object and membership.source_id = xref.source_id
            group by contested.cluster_number, contested.customer_id
        )
        select
            cluster_number, customer_id, records,
            row_number() over (
                order by records desc, age, held_since nulls last, inherited, cluster_number
            ) as priority
        from contested
        join held using (cluster_number, customer_id)
        join age using (customer_id)
        """
    )


def _age(ids: str) -> str:
    """SELECT of customer_id and age, the rank by birth (1 the oldest) among the ids of a query."""
    return f"""
        select customer_id, row_number() over (order by min(born_at) nulls last, customer_id) as age
        from (
            select customer_id, cast(null as timestamp) as born_at from previous.customer_xref
            union all
            select customer_id, happened_at from previous.customer_id_event where event = 'new'
        )
        where customer_id in ({ids})
        group by customer_id
    """


def _claims_of_ended(con: duckdb.DuckDBPyConnection) -> None:
    """id_claim_of_ended: clusters without an id that hold most of the last records of an id that ended.

    Where most of them are with another customer, that is where the old id leads, and it stays so.
    """
    con.execute(
        f"""
        create or replace temp table id_claim_of_ended as
        with last_member as (
            select *
            from previous.customer_membership
            where customer_id not in (select customer_id from previous.customer_xref)
            qualify last_held_at = max(last_held_at) over (partition by customer_id)
        ),
        held as (
            select cluster.cluster_number, last_member.customer_id, count(*) as records
            from last_member
            join identity.record as record using (source_system, source_object, source_id)
            join identity.cluster as cluster on cluster.record_number = record.record_number
            group by cluster.cluster_number, last_member.customer_id
        ),
        age as ({_age("select customer_id from held")})
        select cluster_number, customer_id, row_number() over (order by records desc, age, cluster_number) as priority
        from (select *, max(records) over (partition by customer_id) as most from held) as held
        join age using (customer_id)
        where records = most and cluster_number not in (select cluster_number from id_owner)
        """
    )


def _settle(con: duckdb.DuckDBPyConnection, claims: str, origin: str) -> None:
    """id_owner: go through the claims by priority; each cluster and each id is settled once.

    A claim that is the best of its cluster and of its id cannot be beaten, so all of those are settled at once;
    what they exclude is dropped, and the rest looked at again.
    """
    con.execute(
        f"create or replace temp table id_unsettled as select cluster_number, customer_id, priority from {claims}"
    )
    while (con.execute("select count(*) from id_unsettled").fetchone() or (0,))[0]:
        con.execute(
            """
            insert into id_owner
            select cluster_number, customer_id, ?
            from (
                select
                    *,
                    min(priority) over (partition by cluster_number) as best_of_cluster,
                    min(priority) over (partition by customer_id) as best_of_id
                from id_unsettled
            )
            where priority = best_of_cluster and priority = best_of_id
            """,
            [origin],
        )
        con.execute(
            """
            create or replace temp table id_unsettled as
            select * from id_unsettled
            where cluster_number not in (select cluster_number from id_owner)
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
        select record_number as cluster_number, concat_ws('|', source_system, source_object, source_id) as first_key
        from identity.record
        where record_number in (select cluster_number from identity.cluster)
            and record_number not in (select cluster_number from id_owner)
        """
    )
    attempt = 0
    while (con.execute("select count(*) from id_unsettled").fetchone() or (0,))[0]:
        con.execute(
            f"""
            insert into id_owner
            with minted as (
                select cluster_number, {minted_id("first_key", str(attempt))} as customer_id from id_unsettled
            )
            select cluster_number, customer_id, 'minted'
            from minted
            where customer_id not in (
                select customer_id from previous.customer_id_event semi join minted using (customer_id)
                union all select customer_id from previous.customer_xref semi join minted using (customer_id)
                union all select customer_id from id_owner semi join minted using (customer_id)
            )
            qualify row_number() over (partition by customer_id order by cluster_number) = 1
            """
        )
        con.execute("delete from id_unsettled where cluster_number in (select cluster_number from id_owner)")
        attempt += 1


def _write_events(con: duckdb.DuckDBPyConnection) -> None:
    """identity.customer_id_event: all earlier events and those of this run.

    new      an id is minted
    restore  an id that had ended is in use again, for the records it ended with
    split    records of a living id, or of one that ended, went to another customer than the rest
    merge    an id ended; most of its records are with `into_customer_id` now
    retire   an id ended; none of its records is left
    """
    con.execute(
        """
        insert into identity.customer_id_event
        with claim as (
            select
                id_contest.customer_id,
                owner.customer_id as holder,
                kept.customer_id is not null as alive,
                row_number() over (partition by id_contest.customer_id order by id_contest.priority) as choice
            from id_contest
            join id_owner as owner on owner.cluster_number = id_contest.cluster_number
            left join id_owner as kept on kept.customer_id = id_contest.customer_id
        ),
        happened as (
            select 1 as place, case origin when 'minted' then 'new' else 'restore' end as event,
                customer_id, cast(null as varchar) as into_customer_id
            from id_owner where origin <> 'kept'
            union all
            select 2, 'split', customer_id, holder
            from claim where holder <> customer_id and (alive or choice > 1)
            union all
            select 3, 'merge', customer_id, holder
            from claim where not alive and choice = 1
            union all
            select distinct 4, 'retire', customer_id, null
            from previous.customer_xref
            where customer_id not in (select customer_id from id_claim)
        ),
        repeated as (
            select happened.*, count(earlier.event_id) as times
            from happened
            left join previous.customer_id_event as earlier
                on earlier.event = happened.event and earlier.customer_id = happened.customer_id
                and earlier.into_customer_id is not distinct from happened.into_customer_id
            group by all
        ),
        added as (
            select
                left(sha256(concat_ws('|', run.extract_date, event, customer_id, into_customer_id, times)), 16)
                    as event_id,
                run.run_id, event, customer_id, into_customer_id,
                cast(run.extract_date as timestamp) as happened_at,
                place
            from repeated
            cross join meta.current_run as run
        )
        select event_id, run_id, event, customer_id, into_customer_id, happened_at, event_number
        from previous.customer_id_event
        union all
        select
            event_id, run_id, event, customer_id, into_customer_id, happened_at,
            (select coalesce(max(event_number), 0) from previous.customer_id_event)
                + row_number() over (order by place, customer_id, into_customer_id, event_id)
        from added
        """
    )


def _write_membership(con: duckdb.DuckDBPyConnection) -> None:
    """identity.customer_membership: which record was with which customer, from which run to which."""
    con.execute(
        """
        insert into identity.customer_membership
        select * from previous.customer_membership where is_current is distinct from true
        union all
        select
            customer_id, source_system, source_object, source_id,
            coalesce(member.first_run_id, run.run_id),
            coalesce(member.first_held_at, run.extract_date),
            case when xref.record_number is null then member.last_run_id else run.run_id end,
            case when xref.record_number is null then member.last_held_at else run.extract_date end,
            xref.record_number is not null
        from (select * from previous.customer_membership where is_current) as member
        full join identity.customer_xref as xref using (customer_id, source_system, source_object, source_id)
        cross join meta.current_run as run
        """
    )
