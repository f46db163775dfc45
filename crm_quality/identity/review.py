"""Doubtful pairs and clusters for the steward, most valuable first. Does not belong here: what a decision then does."""

from __future__ import annotations

import duckdb

from crm_quality.identity.bridge import build_bridges
from crm_quality.identity.decisions import decided_pairs
from crm_quality.identity.explain import HELD_BACK
from crm_quality.identity.waterfall import HELD_BACK_STEP, OTHER_NAME, TOO_LITTLE

MOST_OPEN = 5_000
# Pairs from HELD_BACK up are worth a look; of links, those less sure than this.
SURE = 0.95
# A conflict or a rule holds apart what the score would join. What remains of the score's doubt is the share of such
# pairs that stewards link; these shares count for so many decisions.
DOUBT_AGAINST_SCORE = {"conflict": 0.25, TOO_LITTLE: 0.25, OTHER_NAME: 0.02}
DECIDED_BEFORE = 8
# Of the pairs inside a cluster, so many at least should speak for it.
LEAST_DENSITY = 0.5
LEAST_CLUSTER = 3
_REVIEWED = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000)


def build_review_queue(con: duckdb.DuckDBPyConnection, most_open: int = MOST_OPEN) -> int:
    """(Re)create identity.review_queue, review_cluster and review_gain; returns the number of open pairs.

    Reads identity.pair, conflict and customer_xref, meta.decision and the trade of core. Two sorts of pairs: the
    best pair between two customers that might be one, and the best pair of a record that hangs on its customer by a
    doubtful link only. `status` is `decided` where a decision in force names the pair, else `open`; `worth` is the
    doubt (probability that the present state is wrong) times what hangs on it (records, and orders, invoices and
    opportunities of the customers concerned). What a conflict or a rule of `explain` holds apart against the score is
    as doubtful as the score is sure, times the share of such pairs that stewards linked. Rows by falling worth, at most
    `most_open` open ones.
    """
    _number_pairs(con)
    _weigh_customers(con)
    _learn_from_decisions(con)
    con.execute(
        f"""
        create or replace table identity.review_queue as
        with apart as (
            select review_pair.*, 'apart' as state,
                concat(
                    'kept apart',
                    case held_apart_by when 'conflict' then ' because of ' || conflict else ', ' || held_apart_by end,
                    ': '
                ) as remark,
                score * coalesce(held_apart.share, 1) as doubt
            from review_pair
            left join held_apart using (held_apart_by)
            where left_customer <> right_customer
            qualify row_number() over (
                partition by least(left_customer, right_customer), greatest(left_customer, right_customer)
                order by match_weight desc, score desc, l, r
            ) = 1
        ),
        hold as (
            select record_number, max(match_weight) as best
            from (
                select l as record_number, match_weight from review_pair where left_customer = right_customer
                union all
                select r, match_weight from review_pair where left_customer = right_customer
            )
            group by record_number
        ),
        weak as (
            select distinct pair.*, 'joined' as state, 'joined by a doubtful link: ' as remark,
                1 - match_probability as doubt
            from review_pair as pair
            join hold on hold.record_number in (pair.l, pair.r) and hold.best = pair.match_weight
            where left_customer = right_customer and match_probability < {SURE}
        ),
        doubtful as (
            select
                chosen.*,
                decided.l is not null as is_decided,
                least(doubt, 1 - doubt) * (
                    left_size.records + left_size.documents
                    + case when state = 'apart' then right_size.records + right_size.documents else 0 end
                ) as worth
            from (select * from apart union all select * from weak) as chosen
            join customer_size as left_size on left_size.customer_id = chosen.left_customer
            join customer_size as right_size on right_size.customer_id = chosen.right_customer
            left join review_decision as decided on decided.l = chosen.l and decided.r = chosen.r
            where doubt > 1 - {SURE} or decided.l is not null
        )
        select
            left(sha256(concat_ws('|', left_record.source_system, left_record.source_object, left_record.source_id,
                right_record.source_system, right_record.source_object, right_record.source_id)), 16) as pair_id,
            left_record.source_system as left_source_system,
            left_record.source_object as left_source_object,
            left_record.source_id as left_source_id,
            right_record.source_system as right_source_system,
            right_record.source_object as right_source_object,
            right_record.source_id as right_source_id,
            doubtful.match_probability,
            concat(remark, pair.reason) as reasons,
            case when is_decided then 'decided' else 'open' end as status,
            state, left_customer as left_customer_id, right_customer as right_customer_id,
            round(worth, 4) as worth, round(doubt, 4) as doubt, pair.waterfall
        from doubtful
        join identity.pair as pair on pair.record_number_l = doubtful.l and pair.record_number_r = doubtful.r
        join identity.record as left_record on left_record.record_number = doubtful.l
        join identity.record as right_record on right_record.record_number = doubtful.r
        qualify row_number() over (partition by is_decided order by worth desc, l, r) <= {most_open} or is_decided
        order by is_decided, worth desc, l, r
        """
    )
    _build_clusters_to_review(con, most_open)
    _estimate_gain(con)
    (open_pairs,) = con.execute("select count(*) from identity.review_queue where status = 'open'").fetchone() or (0,)
    for table in ("customer_size", "review_pair", "review_decision", "held_apart", "bridge"):
        con.execute(f"drop table {table}")
    return int(open_pairs)


def _weigh_customers(con: duckdb.DuckDBPyConnection) -> None:
    """customer_size: the records of the customers in review_pair, and the trade documents that name one of them where
    there may be something to review."""
    con.execute(
        f"""
        create or replace temp table customer_size as
        with size as (
            select customer_id, count(*) as records
            from identity.customer_xref
            where customer_id in (select left_customer from review_pair union all select right_customer from review_pair)
            group by customer_id
        ),
        looked_at as (
            select unnest([left_customer, right_customer]) as customer_id
            from review_pair
            where left_customer <> right_customer or match_probability < {SURE}
            union
            select customer_id from size where records >= {LEAST_CLUSTER}
        ),
        document as (
            select source_system, party_source_object, party_source_id from core.sales_order
            union all
            select source_system, party_source_object, party_source_id from core.invoice
            union all
            select source_system, party_source_object, party_source_id from core.opportunity
        ),
        traded as (
            select xref.customer_id, count(*) as documents
            from document
            join (from identity.customer_xref semi join looked_at using (customer_id)) as xref
                on xref.source_system = document.source_system and xref.source_id = document.party_source_id
                and xref.source_object = coalesce(document.party_source_object, xref.source_object)
            group by xref.customer_id
        )
        select customer_id, records, coalesce(documents, 0) as documents
        from size
        left join traded using (customer_id)
        """
    )


def _number_pairs(con: duckdb.DuckDBPyConnection) -> None:
    """review_pair: pairs inside customers and likely ones between them, as record numbers, and what contradicts."""
    con.execute(
        f"""
        create or replace temp table review_pair as
        select
            pair.record_number_l as l, pair.record_number_r as r,
            left_xref.customer_id as left_customer, right_xref.customer_id as right_customer,
            pair.match_probability, pair.match_weight,
            conflict.reason as conflict,
            case when conflict.reason is not null then 'conflict' else pair.held_back.agreement end as held_apart_by,
            1 / (1 + pow(2, coalesce(pair.held_back.bits, 0) - pair.match_weight)) as score
        from (
            select *,
                case when match_weight = {HELD_BACK} then list_filter(waterfall, step -> step.step = '{HELD_BACK_STEP}')[1] end
                    as held_back
            from identity.pair
        ) as pair
        join identity.customer_xref as left_xref on left_xref.record_number = pair.record_number_l
        join identity.customer_xref as right_xref on right_xref.record_number = pair.record_number_r
        left join identity.conflict as conflict using (record_number_l, record_number_r)
        where left_xref.customer_id = right_xref.customer_id or pair.match_weight >= {HELD_BACK}
        """
    )


def _learn_from_decisions(con: duckdb.DuckDBPyConnection) -> None:
    """review_decision: pairs that decisions in force name; held_apart: how often stewards link what is held apart."""
    con.execute("create or replace temp table review_decision (l bigint, r bigint, is_linked boolean)")
    # The later decision replaces the earlier.
    decided = {
        (min(left, right), max(left, right)): kind == "must_link"
        for _, kind, left, right in decided_pairs(con)
        if left is not None and right is not None
    }
    con.execute(
        "insert into review_decision select unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::boolean[])",
        [[left for left, _ in decided], [right for _, right in decided], list(decided.values())],
    )
    shares = " ".join(f"when '{cause}' then {share}" for cause, share in DOUBT_AGAINST_SCORE.items())
    con.execute(
        f"""
        create or replace temp table held_apart as
        select
            held_apart_by,
            (count(*) filter (is_linked) + {DECIDED_BEFORE} * case held_apart_by {shares} end)
                / (count(is_linked) + {DECIDED_BEFORE}) as share
        from review_pair
        left join review_decision using (l, r)
        where held_apart_by is not null
        group by held_apart_by
        """
    )


def _build_clusters_to_review(con: duckdb.DuckDBPyConnection, most_open: int) -> None:
    """identity.review_cluster: customers of three records or more that hang together loosely, by falling worth.

    A customer whose records are mostly strangers to each other may be two that one record bridges, and so may one
    whose parts a single link holds together.
    """
    build_bridges(con)
    con.execute(
        f"""
        create or replace table identity.review_cluster as
        with inside as (
            select left_customer as customer_id,
                count(*) filter (match_weight >= 0) as links,
                count(*) filter (match_weight < 0) as against
            from review_pair
            where left_customer = right_customer
            group by left_customer
        ),
        conflicting as (
            select left_customer as customer_id,
                count(*) as conflicts,
                string_agg(distinct conflict, ', ' order by conflict) as conflict_reasons
            from review_pair
            where left_customer = right_customer and conflict is not null
            group by left_customer
        ),
        measured as (
            select
                size.customer_id, size.records, size.documents,
                coalesce(conflicting.conflicts, 0) as conflicts, conflicting.conflict_reasons, inside.against,
                round(inside.links / (size.records * (size.records - 1) / 2), 4) as density,
                bridge.records as bridged
            from customer_size as size
            join inside using (customer_id)
            left join conflicting using (customer_id)
            left join bridge using (customer_id)
            where size.records >= {LEAST_CLUSTER}
        )
        select
            customer_id, records, density, conflicts,
            round((1 - density) * (records + documents), 4) as worth,
            concat_ws('; ',
                case when density < {LEAST_DENSITY} or conflicts > 0 then
                    concat('only ', cast(round(100 * density) as integer), ' % of its pairs of records speak for one customer')
                end,
                case when bridged > 0 then concat('a single link holds ', bridged, ' of its records to the rest') end,
                case when against > 0 then concat(against, ' speak against it') end,
                case when conflicts > 0 then concat('records with ', conflict_reasons, ' joined by a steward') end
            ) as reasons
        from measured
        where density < {LEAST_DENSITY} or conflicts > 0 or bridged > 0
        order by worth desc, customer_id
        limit {most_open}
        """
    )


def _estimate_gain(con: duckdb.DuckDBPyConnection) -> None:
    """identity.review_gain: what the model expects to change if the first so many open pairs were decided.

    A pair kept apart is wrong with its `doubt`, and so is a doubtful link.
    """
    numbers = ", ".join(f"({number})" for number in _REVIEWED)
    con.execute(
        f"""
        create or replace table identity.review_gain as
        with queue as (
            select row_number() over (order by worth desc, pair_id) as place, state, doubt, worth
            from identity.review_queue
            where status = 'open'
        ),
        total as (select count(*) as pairs, sum(worth) as worth from queue),
        reviewed (pairs) as (
            select pairs from (values {numbers}) as step (pairs) where pairs < (select pairs from total)
            union
            select pairs from total where pairs > 0
        )
        select
            reviewed.pairs as reviewed_pairs,
            round(sum(queue.doubt) filter (queue.state = 'apart'), 2) as expected_merges,
            round(sum(queue.doubt) filter (queue.state = 'joined'), 2) as expected_splits,
            round(sum(queue.worth) / any_value(total.worth), 4) as share_of_worth
        from reviewed
        join queue on queue.place <= reviewed.pairs
        cross join total
        group by reviewed.pairs
        order by reviewed.pairs
        """
    )
