"""What was known of every customer on a day, and whether they bought afterwards. Does not belong here: models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    import pandas as pd

# The features by what they say of a customer: a reason names one of these groups.
GROUPS: dict[str, tuple[str, ...]] = {
    "recency": ("recency", "recency_per_gap"),
    "frequency": ("frequency", "orders_90", "orders_180", "orders_365", "mean_gap", "gap_spread"),
    "tenure": ("tenure",),
    "spend": ("spend", "spend_90", "spend_365"),
    "contact": ("contacts_90", "contacts_365", "days_since_contact", "campaigns_365"),
    "service": ("tickets_365", "satisfaction"),
    "loyalty": ("points_365",),
    "kind": ("is_organisation",),
}
FEATURES = tuple(name for names in GROUPS.values() for name in names)
# What a plain model of recency, frequency and monetary value looks at.
RFM = ("recency", "frequency", "spend")

# What customers did, once for all days and customers that are asked for. Amounts are multiples of the median of their
# currency, so that currencies compare; satisfaction is 0 to 1.
_GATHERED = """
create or replace temp table churn_purchase as
select customer_id, ordered_on, amount, ordered_on - lag(ordered_on) over customer as gap
from (
    select customer_id, ordered_on, sum(amount / typical) as amount
    from (
        select customer_id, ordered_on, cast(amount as double) as amount,
            median(cast(amount as double)) over (partition by currency) as typical
        from marts.customer_order
    )
    group by customer_id, ordered_on
)
window customer as (partition by customer_id order by ordered_on);
create or replace temp table churn_event as
select customer_id, child, lower(status) as status, cast(amount as double) as amount,
    cast(happened_at as date) as happened_on
from golden.customer_child
where child in ('interaction', 'campaign_response', 'ticket', 'survey_response', 'loyalty_event') and not is_void
    and customer_id in (select customer_id from churn_purchase)
"""

_SQL = """
with purchase as (
    -- as a plain number it would be a HUGEINT, and so would be the hashes: a hundred times as slow
    from churn_purchase where hash(customer_id) % cast($every as ubigint) = 0
),
bought as (
    select customer_id, as_of,
        as_of - max(ordered_on) as recency,
        as_of - min(ordered_on) as tenure,
        count(*) as frequency,
        count(*) filter (ordered_on > as_of - 90) as orders_90,
        count(*) filter (ordered_on > as_of - 180) as orders_180,
        count(*) filter (ordered_on > as_of - 365) as orders_365,
        avg(gap) as mean_gap,
        stddev_samp(gap) as gap_spread,
        sum(amount) as spend,
        coalesce(sum(amount) filter (ordered_on > as_of - 90), 0) as spend_90,
        coalesce(sum(amount) filter (ordered_on > as_of - 365), 0) as spend_365
    from purchase join churn_cutoff on ordered_on <= as_of
    group by customer_id, as_of
),
heard as (
    select customer_id, as_of,
        count(*) filter (child = 'interaction' and happened_on > as_of - 90) as contacts_90,
        count(*) filter (child = 'interaction' and happened_on > as_of - 365) as contacts_365,
        as_of - max(happened_on) filter (child = 'interaction') as days_since_contact,
        count(*) filter (child = 'campaign_response' and happened_on > as_of - 365
            and status in ('opened', 'clicked', 'responded')) as campaigns_365,
        count(*) filter (child = 'ticket' and happened_on > as_of - 365) as tickets_365,
        avg(amount / case when status = 'nps' then 10 else 5 end)
            filter (child = 'survey_response') as satisfaction,
        coalesce(sum(amount) filter (child = 'loyalty_event' and happened_on > as_of - 365), 0)
            as points_365
    from churn_event
    join churn_cutoff on happened_on <= as_of
    where hash(customer_id) % cast($every as ubigint) = 0
    group by customer_id, as_of
),
returned as (
    select distinct customer_id, as_of
    from purchase join churn_cutoff on ordered_on > as_of and ordered_on <= as_of + $horizon
)
select customer_id, as_of,
    bought.* exclude (customer_id, as_of),
    recency / (coalesce(mean_gap, tenure) + 1) as recency_per_gap,
    coalesce(contacts_90, 0) as contacts_90, coalesce(contacts_365, 0) as contacts_365, days_since_contact,
    coalesce(campaigns_365, 0) as campaigns_365, coalesce(tickets_365, 0) as tickets_365, satisfaction,
    coalesce(points_365, 0) as points_365,
    cast(customer.party_type = 'organisation' as integer) as is_organisation,
    cast(returned.customer_id is null as integer) as churned
from bought
join golden.customer as customer using (customer_id)
left join heard using (customer_id, as_of)
left join returned using (customer_id, as_of)
order by as_of, md5(customer_id), customer_id
"""


@contextmanager
def gathered(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Gather what customers did; `customers_on` works while it is open."""
    con.execute(_GATHERED)
    try:
        yield
    finally:
        con.execute("drop table churn_purchase; drop table churn_event")


def customers_on(con: duckdb.DuckDBPyConnection, days: Sequence[date], horizon: int, every: int = 1) -> pd.DataFrame:
    """One row per day and customer who had bought by then: the features, and `churned`.

    `churned` is 1 where no purchase followed in the `horizon` days after; it means nothing where these are not over.
    With `every` n, one customer in n is taken, always the same.
    """
    con.execute("create or replace temp table churn_cutoff (as_of date)")
    con.executemany("insert into churn_cutoff values (?)", [[day] for day in days])
    frame = con.execute(_SQL, {"horizon": horizon, "every": every}).df()
    con.execute("drop table churn_cutoff")
    return frame.astype(dict.fromkeys(FEATURES, "float64"))
