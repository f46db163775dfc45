"""Doubtful pairs for the steward, most valuable first. Does not belong here: what a decision then does."""

from __future__ import annotations

import duckdb

MOST_OPEN = 5_000
# Between these a pair is worth a look; outside them the model is sure enough.
LEAST_PROBABILITY = 0.2
SURE = 0.95


def build_review_queue(con: duckdb.DuckDBPyConnection, most_open: int = MOST_OPEN) -> int:
    """(Re)create identity.review_queue from identity.pair, identity.conflict and identity.customer_xref.

    Two sorts of pairs: the best pair between two customers that might be one, and the best pair of a record that
    hangs on its customer by a doubtful link only. A row's `status` is `decided` where a decision in force names
    the pair, else `open`; the rows are inserted by falling worth (doubt times records concerned), at most
    `most_open` open ones. Returns the number of open pairs.
    """
    con.execute(
        f"""
        create or replace table identity.review_queue as
        with pair as (
            select
                pair.*,
                l.customer_id as left_customer, r.customer_id as right_customer,
                l_record.record_number as l, r_record.record_number as r,
                conflict.reason as conflict
            from identity.pair as pair
            join identity.record as l_record
                on l_record.source_system = pair.left_source_system
                and l_record.source_object = pair.left_source_object and l_record.source_id = pair.left_source_id
            join identity.record as r_record
                on r_record.source_system = pair.right_source_system
                and r_record.source_object = pair.right_source_object and r_record.source_id = pair.right_source_id
            join identity.customer_xref as l
                on l.source_system = pair.left_source_system and l.source_object = pair.left_source_object
                and l.source_id = pair.left_source_id
            join identity.customer_xref as r
                on r.source_system = pair.right_source_system and r.source_object = pair.right_source_object
                and r.source_id = pair.right_source_id
            left join identity.conflict as conflict
                on conflict.record_number_l = l_record.record_number
                and conflict.record_number_r = r_record.record_number
        ),
        decided as (
            select l.record_number as a, r.record_number as b
            from meta.decision as decision
            join identity.record as l
                on l.source_system = decision.left_source_system and l.source_object = decision.left_source_object
                and l.source_id = decision.left_source_id
            join identity.record as r
                on r.source_system = decision.right_source_system and r.source_object = decision.right_source_object
                and r.source_id = decision.right_source_id
            where decision.kind in ('must_link', 'cannot_link')
        ),
        apart as (
            select *, concat('kept apart', coalesce(concat(' because of ', conflict), ''), ': ', reason) as reasons
            from pair
            where left_customer <> right_customer and match_probability > {LEAST_PROBABILITY}
            qualify row_number() over (
                partition by least(left_customer, right_customer), greatest(left_customer, right_customer)
                order by match_weight desc, l, r
            ) = 1
        ),
        weak as (
            select pair.*, concat('joined by a doubtful link: ', reason) as reasons
            from pair
            join (
                select record_number, max(match_weight) as best
                from (
                    select l as record_number, match_weight from pair where left_customer = right_customer
                    union all
                    select r, match_weight from pair where left_customer = right_customer
                )
                group by record_number
            ) as hold on hold.record_number in (pair.l, pair.r) and hold.best = pair.match_weight
            where left_customer = right_customer and match_probability < {SURE}
        ),
        size as (select customer_id, count(*) as records from identity.customer_xref group by customer_id),
        doubtful as (
            select
                chosen.*,
                exists (
                    select 1 from decided
                    where least(a, b) = least(chosen.l, chosen.r) and greatest(a, b) = greatest(chosen.l, chosen.r)
                ) as is_decided,
                -- A conflict holds apart what the score would join: then the score is no measure of doubt.
                (case when conflict is null then least(match_probability, 1 - match_probability) else 0.25 end)
                    * (left_size.records + right_size.records) as worth
            from (select * from apart union select * from weak) as chosen
            join size as left_size on left_size.customer_id = chosen.left_customer
            join size as right_size on right_size.customer_id = chosen.right_customer
        )
        select
            left(sha256(concat_ws('|', left_source_system, left_source_object, left_source_id,
                right_source_system, right_source_object, right_source_id)), 16) as pair_id,
            left_source_system, left_source_object, left_source_id,
            right_source_system, right_source_object, right_source_id,
            match_probability,
            reasons,
            case when is_decided then 'decided' else 'open' end as status
        from doubtful
        qualify row_number() over (partition by is_decided order by worth desc, l, r) <= {most_open} or is_decided
        order by is_decided, worth desc, l, r
        """
    )
    (open_pairs,) = con.execute("select count(*) from identity.review_queue where status = 'open'").fetchone() or (0,)
    return int(open_pairs)
