"""Contacts, tickets, surveys, loyalty, referrals, campaigns. Does not belong here: sales."""

from dataclasses import dataclass

import numpy as np

from crm_quality.sample import identifiers
from crm_quality.sample.columns import Array, Frame, blank, choose, moments_between, pick, text
from crm_quality.sample.context import Context, Sequences
from crm_quality.sample.records import ACCOUNT, CONTACT, FXIAOKE, LEAD, SALESFORCE
from crm_quality.sample.trade import Trade

_CHANNELS = ("Call", "Email", "Meeting", "WeChat", "Visit")
_SUBJECTS = (
    "Follow-up on offer",
    "Delivery date",
    "Price list 2026",
    "Service visit",
    "Annual review",
    "New contact person",
    "Demo on site",
)
_SUBJECTS_FX = ("报价跟进", "电话沟通交货期", "上门拜访", "产品演示", "催收货款", "年度回访", "联系人变更")
_TICKETS = (
    "Does not start",
    "Oil leak",
    "Wrong part delivered",
    "Invoice address",
    "Warranty claim",
    "Noise in operation",
    "Battery does not charge",
)
_COMMENTS = (
    "Quick help, thank you",
    "Had to call three times",
    "ok",
    "服务很好",
    "配件等太久",
    "Great machine",
    "Never again",
    "Technician was friendly",
)
# Share of the closed deals before whose end somebody wrote down a contact.
_TALKED_ABOUT = 0.96
_CAMPAIGNS = (
    "Spring Garden 2025",
    "618 Sale 2026",
    "Bauma 2025",
    "Canton Fair Autumn 2025",
    "Trade-in Week",
    "Newsletter Q3",
    "Double 11 2026",
)


@dataclass(frozen=True)
class Activity:
    """Everything of a chunk that is not a sale. `row` is the record it is about."""

    interactions: Frame
    tickets: Frame
    surveys: Frame
    loyalty: Frame
    referrals: Frame
    responses: Frame


def build_activity(context: Context, records: Frame, trade: Trade, opportunities: Frame) -> Activity:
    """Activity of all records of a chunk, and the day of the last one in records["last_activity_at"]."""
    interactions = _with_talk_about_deals(context, _interactions(context, records), records, opportunities)
    last = records["created_at"].copy()
    np.maximum.at(last, interactions["row"], interactions["happened_at"])
    touched = np.zeros(len(last), bool)
    touched[interactions["row"]] = True
    records["last_activity_at"] = np.where(touched, last, np.datetime64("NaT", "s"))
    tickets = _tickets(context, records)
    return Activity(
        interactions,
        tickets,
        _surveys(context, records, tickets),
        _loyalty(context, records, trade),
        _referrals(context, records, trade),
        _responses(context, records),
    )


def _since_creation(rng: np.random.Generator, records: Frame, rows: Array, today: np.datetime64) -> Array:
    low = records["created_at"][rows].astype("datetime64[D]") + np.timedelta64(1, "D")
    return np.minimum(
        moments_between(rng, low, np.full(len(rows), today - np.timedelta64(1, "D"))),
        today.astype("datetime64[s]"),
    )


def _real(records: Frame, *objects: int) -> Array:
    return np.flatnonzero(np.isin(records["object"], objects) & (records["entity"] >= 0) & ~records["is_deleted"])


def _interactions(context: Context, records: Frame) -> Frame:
    rng, sequences, today = context.rng, context.sequences, context.today
    known = np.flatnonzero(np.isin(records["system"], (SALESFORCE, FXIAOKE)) & (records["entity"] >= 0))
    rows = np.repeat(known, np.minimum(rng.negative_binomial(1.1, 0.42, len(known)), 25))
    size = len(rows)
    system = records["system"][rows]
    happened_at = _since_creation(rng, records, rows, today)
    channel = pick(rng, _CHANNELS, size, 0.6)
    orphan = rng.random(size) < context.rates.orphans
    is_event = records["object"][rows] == ACCOUNT
    return {
        "row": rows,
        "system": system,
        "is_event": is_event,
        "source_id": _interaction_ids(sequences, system, is_event, happened_at),
        "party_id": records["source_id"][rows].copy(),
        "orphan": orphan,
        "channel": np.where(is_event, "Meeting", channel),
        "inbound": rng.random(size) < 0.35,
        "subject": np.where(system == FXIAOKE, pick(rng, _SUBJECTS_FX, size), pick(rng, _SUBJECTS, size)),
        "duration": np.where(channel == "Call", rng.integers(20, 1800, size), -1),
        "minutes": rng.integers(1, 9, size) * 15,
        "owner": records["owner"][rows],
        "happened_at": happened_at,
    }


def _interaction_ids(sequences: Sequences, system: Array, is_event: Array, happened_at: Array) -> Array:
    ids = blank(len(system))
    for prefix, at in (
        ("00T", np.flatnonzero((system == SALESFORCE) & ~is_event)),
        ("00U", np.flatnonzero(is_event)),
    ):
        ids[at] = identifiers.salesforce_ids(prefix, sequences.take(prefix, len(at)))
    at = np.flatnonzero(system == FXIAOKE)
    ids[at] = identifiers.mongo_ids(happened_at[at], sequences.take("ActiveRecordObj", len(at)), 0x7A3E0020)
    return ids


def _with_talk_about_deals(context: Context, interactions: Frame, records: Frame, opportunities: Frame) -> Frame:
    """Nearly every deal that was closed has been spoken about with the customer before; a few were closed in silence."""
    rng = context.rng.spawn(1)[0]
    closed = np.flatnonzero(opportunities["state"] != "open")
    talked = closed[rng.random(len(closed)) < _TALKED_ABOUT]
    rows, size = opportunities["row"][talked], len(talked)
    system, is_event = records["system"][rows], records["object"][rows] == ACCOUNT
    happened_at = moments_between(rng, opportunities["created_at"][talked], opportunities["close_date"][talked])
    more: Frame = {
        "row": rows,
        "system": system,
        "is_event": is_event,
        "source_id": _interaction_ids(context.sequences, system, is_event, happened_at),
        "party_id": records["source_id"][rows].copy(),
        "orphan": np.zeros(size, bool),
        "channel": choose(is_event, "Meeting", pick(rng, _CHANNELS, size, 0.6)),
        "inbound": np.zeros(size, bool),
        "subject": np.where(system == FXIAOKE, _SUBJECTS_FX[0], _SUBJECTS[0]).astype(object),
        "duration": np.full(size, -1),
        "minutes": rng.integers(1, 9, size) * 15,
        "owner": records["owner"][rows],
        "happened_at": happened_at,
    }
    return {name: np.concatenate([values, more[name]]) for name, values in interactions.items()}


def spoil_interactions(context: Context, interactions: Frame) -> None:
    """Point some interactions at parties that are not there."""
    for chosen, name, system in (
        (interactions["is_event"], "Event", "salesforce"),
        (~interactions["is_event"] & (interactions["system"] == SALESFORCE), "Task", "salesforce"),
        (interactions["system"] == FXIAOKE, "ActiveRecordObj", "fxiaoke"),
    ):
        at = np.flatnonzero(chosen & interactions["orphan"])
        keys = np.full(len(at), system, object), np.full(len(at), name, object), interactions["source_id"][at]
        context.log.add("interaction", "party_source_id", "orphan", keys, interactions["party_id"][at])
        numbers = context.rng.integers(0, 10**6, len(at))
        if system == "fxiaoke":
            nobody = identifiers.mongo_ids(interactions["happened_at"][at], numbers, 0x00DEAD00)
        else:
            nobody = identifiers.salesforce_ids("001" if name == "Event" else "003", 40_000_000_000 + numbers)
        interactions["party_id"][at] = nobody


def _tickets(context: Context, records: Frame) -> Frame:
    rng, sequences, today = context.rng, context.sequences, context.today
    known = _real(records, CONTACT)
    rows = np.repeat(known, rng.poisson(0.35, len(known)))
    opened = _since_creation(rng, records, rows, today)
    hours = (rng.gamma(0.9, 20.0, len(rows)) * 3600).astype("timedelta64[s]")
    days = (rng.gamma(1.3, 6.0, len(rows)) * 86_400).astype("timedelta64[s]")
    closed = opened + hours + days
    is_open = closed >= today.astype("datetime64[s]")
    closed[is_open] = np.datetime64("NaT", "s")
    return {
        "row": rows,
        "source_id": identifiers.salesforce_ids("500", sequences.take("500", len(rows))),
        "party_id": records["source_id"][rows],
        "account_id": records["parent_source_id"][rows],
        "number": sequences.take("case_number", len(rows)) + 1000,
        "subject": pick(rng, _TICKETS, len(rows)),
        "category": pick(rng, ("Mechanical", "Electrical", "Delivery", "Billing", "Other"), len(rows), 0.6),
        "priority": pick(rng, ("Medium", "High", "Low"), len(rows), 0.8),
        "status": np.where(is_open, pick(rng, ("New", "Working", "Escalated"), len(rows), 0.8), "Closed"),
        "channel": pick(rng, ("Phone", "Email", "Web"), len(rows)),
        "owner": records["owner"][rows],
        "opened_at": opened,
        "answered_at": np.where(
            opened + hours < today.astype("datetime64[s]"), opened + hours, np.datetime64("NaT", "s")
        ),
        "closed_at": closed,
    }


def _surveys(context: Context, records: Frame, tickets: Frame) -> Frame:
    rng, sequences, today = context.rng, context.sequences, context.today
    asked = np.flatnonzero(~np.isnat(tickets["closed_at"]) & (rng.random(len(tickets["row"])) < 0.5))
    known = _real(records, CONTACT)
    general = known[rng.random(len(known)) < 0.12]
    slow = (tickets["closed_at"][asked] - tickets["opened_at"][asked]).astype(np.int64) > 10 * 86_400
    csat = np.clip(np.round(rng.normal(4.3 - 1.2 * slow, 0.9)), 1, 5)
    nps = np.clip(np.round(rng.normal(7.6, 2.4, len(general))), 0, 10)
    answered = tickets["closed_at"][asked] + rng.integers(600, 300_000, len(asked)).astype("timedelta64[s]")
    size = len(asked) + len(general)
    comment = choose(rng.random(size) < 0.5, pick(rng, _COMMENTS, size), None)
    return {
        "source_id": identifiers.salesforce_ids("a0S", sequences.take("a0S", size)),
        "party_id": np.concatenate([tickets["party_id"][asked], records["source_id"][general]]),
        "ticket_id": np.concatenate([tickets["source_id"][asked], blank(len(general))]),
        "kind": np.concatenate([np.full(len(asked), "CSAT", object), np.full(len(general), "NPS", object)]),
        "score": np.concatenate([csat, nps]).astype(np.int64),
        "comment": comment,
        "responded_at": np.minimum(
            np.concatenate([answered, _since_creation(rng, records, general, today)]),
            today.astype("datetime64[s]"),
        ),
    }


def _loyalty(context: Context, records: Frame, trade: Trade) -> Frame:
    rng, sequences, today = context.rng, context.sequences, context.today
    known = _real(records, CONTACT)
    members = known[rng.random(len(known)) < 0.35]
    rows = np.repeat(members, 1 + rng.poisson(2.0, len(members)))
    kind = pick(rng, ("earn", "earn", "earn", "burn", "expire", "adjust"), len(rows))
    points = rng.integers(1, 60, len(rows)) * 10
    happened_at = _since_creation(rng, records, rows, today)
    # Points of a buyer are earned with an order of the same customer.
    order_of = np.full(int(max(records["entity"].max(), 0)) + 1, -1)
    with_entity = np.flatnonzero(trade.orders["entity"] >= 0)
    order_of[trade.orders["entity"][with_entity]] = with_entity
    order = np.where(kind == "earn", order_of[records["entity"][rows]], -1)
    earned = order >= 0
    happened_at[earned] = trade.orders["ordered_on"][order[earned]].astype("datetime64[s]") + np.timedelta64(12, "h")
    points = np.where(np.isin(kind, ("burn", "expire")), -points, points)
    _spend_what_there_is(kind, points, rows, happened_at)
    return {
        "source_id": identifiers.salesforce_ids("a0L", sequences.take("a0L", len(rows))),
        "party_id": records["source_id"][rows],
        "kind": kind,
        "points": points,
        "order_id": choose(earned, trade.orders["source_id"][order], None),
        "happened_at": happened_at,
    }


def _spend_what_there_is(kind: Array, points: Array, members: Array, happened_at: Array) -> None:
    """Nobody can spend points, or lose any, beyond the balance; with none left the movement becomes one that earns."""
    member, balance = -1, 0
    for place in np.lexsort((happened_at, members)):
        if members[place] != member:
            member, balance = members[place], 0
        if points[place] < 0 and balance == 0:
            kind[place], points[place] = "earn", -points[place]
        points[place] = max(points[place], -balance)
        balance += points[place]


def _referrals(context: Context, records: Frame, trade: Trade) -> Frame:
    rng, sequences, today = context.rng, context.sequences, context.today
    known = _real(records, CONTACT)
    rows = known[rng.random(len(known)) < 0.04]
    guests = _real(records, CONTACT, LEAD)
    other = rng.choice(guests, len(rows)) if len(rows) else rows
    apart = records["entity"][other] != records["entity"][rows]
    rows, other = rows[apart], other[apart]
    source_ids = identifiers.salesforce_ids("a0R", sequences.take("a0R", len(rows)))
    status = pick(rng, ("Invited", "Joined", "Purchased", "Rewarded"), len(rows), 0.4)
    referred_at = _since_creation(rng, records, rows, today)
    # Only a guest who has ordered since has purchased.
    bought = _last_order_of(records, trade)[records["entity"][other]] >= referred_at.astype("datetime64[D]")
    early, late = np.isin(status, ("Invited", "Purchased")), choose(bought, "Rewarded", "Joined")
    return {
        "source_id": source_ids,
        "party_id": records["source_id"][rows],
        "referred_id": records["source_id"][other],
        "status": np.where(early, choose(bought, "Purchased", "Invited"), late),
        "referred_at": referred_at,
    }


def _last_order_of(records: Frame, trade: Trade) -> Array:
    """Day of the last order that was neither cancelled nor a return, by entity; long ago where there is none."""
    last = np.full(int(max(records["entity"].max(), 0)) + 1, np.datetime64("1900-01-01", "D"))
    orders = trade.orders
    valid = (orders["entity"] >= 0) & ~orders["is_return"] & ~orders["cancelled"]
    np.maximum.at(last, orders["entity"][valid], orders["ordered_on"][valid].astype("datetime64[D]"))
    return last


def _responses(context: Context, records: Frame) -> Frame:
    rng, sequences, today = context.rng, context.sequences, context.today
    known = _real(records, CONTACT, LEAD)
    rows = np.repeat(known, rng.poisson(0.5, len(known)))
    campaign = rng.integers(0, len(_CAMPAIGNS), len(rows))
    channels = text(["Email", "WeChat", "Trade Fair", "Trade Fair", "Email", "Email", "WeChat"])
    return {
        "source_id": identifiers.salesforce_ids("00v", sequences.take("00v", len(rows))),
        "party_id": records["source_id"][rows],
        "campaign": text(list(_CAMPAIGNS))[campaign],
        "channel": channels[campaign],
        "response": pick(rng, ("Sent", "Opened", "Clicked", "Responded", "Unsubscribed"), len(rows), 0.6),
        "responded_at": _since_creation(rng, records, rows, today),
    }
