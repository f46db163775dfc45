"""Opportunities and the stages they went through. Does not belong here: orders and money."""

import numpy as np

from crm_quality.sample import identifiers
from crm_quality.sample.columns import (
    Array,
    Frame,
    Mask,
    Text,
    blank,
    day_text,
    decimal_text,
    moments_between,
    pick,
    text,
)
from crm_quality.sample.context import Context, Sequences
from crm_quality.sample.records import (
    ACCOUNT,
    FX_ACCOUNT,
    FXIAOKE,
    SALESFORCE,
    SYSTEMS,
)
from crm_quality.sample.trade import WRONG_CURRENCIES, Trade
from crm_quality.sample.vocabulary import CURRENCY

STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal/Price Quote", "Negotiation/Review")
STAGES_FX = ("初步接触", "需求确认", "方案设计", "报价", "商务谈判")
WON, LOST = "Closed Won", "Closed Lost"
_PROBABILITY = np.array([10, 20, 40, 65, 85])
_SOURCES = ("Web", "Trade Show", "Partner Referral", "Phone Inquiry", "Purchased List", "Employee Referral")
_OBJECT_NAMES = text(["Opportunity", "NewOpportunityObj"])


def build_opportunities(context: Context, records: Frame, trade: Trade) -> Frame:
    """Won ones behind orders of organisations, and open, lost and never-ordered ones besides."""
    rng, today = context.rng, context.today
    accounts = np.flatnonzero(np.isin(records["object"], (ACCOUNT, FX_ACCOUNT)) & (records["entity"] >= 0))
    orders = trade.orders
    row_of = np.full(int(max(records["entity"].max(), 0)) + 1, -1)
    row_of[records["entity"][accounts]] = accounts
    row = np.where(orders["entity"] >= 0, row_of[np.maximum(orders["entity"], 0)], -1)
    sold = np.flatnonzero((row >= 0) & ~orders["is_return"] & (rng.random(len(row)) < 0.6))
    more = np.repeat(accounts, rng.poisson(0.9, len(accounts)))
    outcome = pick(rng, ("lost", "open", "open", "lost", "open", "lost", "lost", "open", "lost", "won"), len(more))
    rows = np.concatenate([row[sold], more])
    state = np.concatenate([np.full(len(sold), "won", object), outcome])
    closed = state != "open"
    created, close = _times(rng, records, rows, closed, today)
    ordered_on = orders["ordered_on"][sold]
    close[: len(sold)] = ordered_on - rng.integers(0, 9, len(sold)).astype("timedelta64[D]")
    lead_time = rng.integers(15, 150, len(sold)).astype("timedelta64[D]")
    opened = np.maximum(close[: len(sold)] - lead_time, records["created_at"][row[sold]].astype("datetime64[D]"))
    opened = np.minimum(opened, close[: len(sold)])
    created[: len(sold)] = moments_between(rng, opened, opened)
    currency = np.concatenate([orders["currency"][sold], CURRENCY[records["country_index"][more]]])
    amount = np.concatenate(
        [orders["amount"][sold], np.round(rng.lognormal(14.6, 1.1, len(more)), -4).astype(np.int64)]
    )
    haggled = (np.arange(len(rows)) < len(sold)) & (rng.random(len(rows)) < 0.15)
    amount = np.where(haggled, np.round(amount * rng.uniform(0.85, 1.2, len(rows)), -2), amount).astype(np.int64)
    step = np.where(closed, 4, rng.integers(0, 5, len(rows)))
    opportunities: Frame = {
        "row": rows,
        "system": records["system"][rows],
        "party_id": records["source_id"][rows].copy(),
        "state": state,
        "step": step,
        "reached": np.where(state == "lost", rng.integers(0, 5, len(rows)), step),
        "amount": amount.astype(np.float64),
        "currency": currency.copy(),
        "probability": np.select([state == "won", state == "lost"], [100, 0], _PROBABILITY[step]),
        "close_date": close,
        "created_at": created,
        "modified_at": np.maximum(np.minimum(_evening(close), today.astype("datetime64[s]")), created),
        "lead_source": pick(rng, _SOURCES, len(rows), 0.7),
        "owner": records["owner"][rows],
        "is_deleted": rng.random(len(rows)) < 0.005,
        "title": pick(
            rng,
            ("Generators", "Pumps", "Spare parts", "Compressors", "Frame contract", "Service 2y"),
            len(rows),
        ),
    }
    opportunities["source_id"] = _ids(opportunities, context.sequences)
    orders["opportunity_id"][sold] = opportunities["source_id"][: len(sold)]
    return opportunities


def _evening(days: Array) -> Array:
    return days.astype("datetime64[s]") + np.timedelta64(20, "h")


def _times(
    rng: np.random.Generator, records: Frame, rows: Array, closed: Mask, today: np.datetime64
) -> tuple[Array, Array]:
    low = records["created_at"][rows].astype("datetime64[D]")
    # An open opportunity is a young one.
    low = np.where(closed, low, np.maximum(low, today - np.timedelta64(240, "D")))
    created = moments_between(rng, low, np.full(len(rows), today - np.timedelta64(2, "D")))
    day = created.astype("datetime64[D]")
    later = day + rng.integers(5, 200, len(rows)).astype("timedelta64[D]")
    done = np.maximum(np.minimum(later, today - np.timedelta64(1, "D")), day)
    planned = today + rng.integers(-20, 160, len(rows)).astype("timedelta64[D]")
    return created, np.where(closed, done, np.maximum(planned, day))


def _ids(opportunities: Frame, sequences: Sequences) -> Array:
    ids = blank(len(opportunities["row"]))
    at = np.flatnonzero(opportunities["system"] == SALESFORCE)
    ids[at] = identifiers.salesforce_ids("006", sequences.take("006", len(at)))
    at = np.flatnonzero(opportunities["system"] == FXIAOKE)
    numbers = sequences.take("NewOpportunityObj", len(at))
    ids[at] = identifiers.mongo_ids(opportunities["created_at"][at], numbers, 0x7A3E0010)
    return ids


def build_stages(context: Context, opportunities: Frame) -> Frame:
    """One row per stage that a Salesforce opportunity entered, in the order of time."""
    rng, sequences = context.rng, context.sequences
    at = np.flatnonzero(opportunities["system"] == SALESFORCE)
    closed = opportunities["state"][at] != "open"
    steps = opportunities["reached"][at] + 1
    count = steps + closed
    which = np.repeat(np.arange(len(at)), count)
    position = np.arange(len(which)) - (np.cumsum(count) - count)[which]
    last = closed[which] & (position == steps[which])
    created, end = opportunities["created_at"][at], opportunities["modified_at"][at]
    share = (
        np.minimum(position / np.maximum(count - 1, 1)[which], 1.0)
        - rng.random(len(which)) * 0.05 * (position > 0) * ~last
    )
    span = (end - created).astype(np.int64)[which]
    stage = text(list(STAGES))[np.minimum(position, 4)]
    state = opportunities["state"][at][which]
    return {
        "source_id": identifiers.salesforce_ids("008", sequences.take("008", len(which))),
        "opportunity_id": opportunities["source_id"][at][which],
        "stage": np.where(last, np.where(state == "won", WON, LOST), stage),
        "probability": np.where(last, np.where(state == "won", 100, 0), _PROBABILITY[np.minimum(position, 4)]),
        "amount": opportunities["amount"][at][which],
        "close_date": opportunities["close_date"][at][which],
        "changed_by": opportunities["owner"][at][which],
        "changed_at": created[which] + (span * np.maximum(share, 0)).astype("timedelta64[s]"),
    }


def spoil_opportunities(context: Context, opportunities: Frame) -> None:
    """Won without amount, closed before created, of nobody, in no currency."""
    rng, rates = context.rng, context.rates
    size = len(opportunities["row"])

    def note(at: Array, column: str, kind: str, original: Text) -> None:
        systems = opportunities["system"][at]
        keys = SYSTEMS[systems], _OBJECT_NAMES[systems], opportunities["source_id"][at]
        context.log.add("opportunity", column, kind, keys, original)

    def chosen(rate: float, among: Mask | bool = True) -> Array:
        return np.flatnonzero((rng.random(size) < rate) & among)

    at = chosen(rates.won_without_amount, opportunities["state"] == "won")
    note(at, "amount", "won_without_amount", decimal_text(opportunities["amount"][at].astype(np.int64)))
    opportunities["amount"][at] = np.where(rng.random(len(at)) < 0.3, 0.0, np.nan)
    at = chosen(rates.close_before_create, opportunities["state"] != "open")
    note(at, "close_date", "close_before_create", day_text(opportunities["close_date"][at]))
    opportunities["close_date"][at] = opportunities["created_at"][at].astype("datetime64[D]") - rng.integers(
        10, 400, len(at)
    ).astype("timedelta64[D]")
    at = chosen(rates.orphans)
    note(at, "party_source_id", "orphan", opportunities["party_id"][at])
    nobody = identifiers.salesforce_ids("001", 40_000_000_000 + rng.integers(0, 10**6, len(at)))
    other = identifiers.mongo_ids(opportunities["created_at"][at], rng.integers(0, 10**6, len(at)), 0x00DEAD00)
    opportunities["party_id"][at] = np.where(opportunities["system"][at] == SALESFORCE, nobody, other)
    at = chosen(rates.wrong_currency)
    note(at, "currency", "wrong_currency", opportunities["currency"][at])
    opportunities["currency"][at] = pick(rng, WRONG_CURRENCIES, len(at))
