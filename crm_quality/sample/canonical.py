"""The records and documents of a chunk under canonical names, still typed. Does not belong here: how a system writes them.

A frame holds one kind of record. Amounts, quantities and per cents are in hundredths, flags are booleans, days and
moments are of numpy; columns beside the canonical ones are what some system exports besides.
"""

# mypy: disable-error-code="no-any-return"
# (numpy types what is computed from text columns as Any.)

import numpy as np

from crm_quality.sample.activity import Activity
from crm_quality.sample.columns import Frame, Text, blank, choose, is_missing, per_value, pick, take, text
from crm_quality.sample.pipeline import LOST, STAGES, STAGES_FX, WON
from crm_quality.sample.records import FXIAOKE, SYSTEM_OF_OBJECT
from crm_quality.sample.trade import Trade, catalogue

KIND_OF_OBJECT = text(["account", "contact", "lead", "account", "contact", "lead", "customer"])
_LEAD_SOURCES = ("Web", "Trade Show", "Purchased List", "Partner")
_LEVELS = ("普通客户", "重点客户", "战略客户")
_NOTES = (
    "Called twice, prefers e-mail",
    "Key contact for service\nCall after 14:00",
    "VIP\n\nnegotiates hard",
)
_SAP_NAME_WIDTH = 35


def party_frames(rng: np.random.Generator, lines: Frame, system: int, line_breaks: float) -> dict[str, Frame]:
    """The party records of one system by kind: account, contact and lead, or customer."""
    merged = _merged_ids(lines)
    return {
        KIND_OF_OBJECT[number]: _parties(
            rng, take(lines, np.flatnonzero(lines["object"] == number)), KIND_OF_OBJECT[number], merged, line_breaks
        )
        for number in np.flatnonzero(system == SYSTEM_OF_OBJECT)
    }


def _parties(rng: np.random.Generator, part: Frame, kind: str, merged: dict[str, str], line_breaks: float) -> Frame:
    size = len(part["source_id"])
    known = (
        "source_id full_name given_name family_name birth_date gender tax_id national_id email phone mobile website "
        "street city region postal_code country industry owner parent_source_id is_deleted is_blocked is_one_time "
        "created_by created_at modified_at last_activity_at job_title master_id"
    )
    frame = {name: part[name] for name in known.split()}
    organisation = ~part["is_person"] if kind == "customer" else np.full(size, kind == "account")
    status = {
        "account": choose(part["in_erp"], "Customer", "Prospect"),
        "contact": blank(size),
        "lead": choose(part["converted"], "Converted", "Working"),
        "customer": np.select([part["is_one_time"], part["is_person"]], ["CPD", "0170"], "0001").astype(object),
    }[kind]
    frame |= {
        "party_type": choose(organisation, "organisation", "person"),
        "account_number": _stripped(part["account_number"]),
        "company_name": part["company_name"],
        "status": status,
        "lifecycle_stage": pick(rng, _LEVELS, size, 1.2)
        if kind == "account"
        else choose(np.full(size, kind == "lead"), "lead", None),
        "lead_source": pick(rng, _LEAD_SOURCES, size),
        "is_converted": part["converted"],
        "converted_id": part["merged_into"],
        "merged_into_source_id": np.where(is_missing(part["master_id"]), part["merged_into"], part["master_id"]),
        "merged_source_ids": per_value(part["source_id"], merged.get),
        "email_bounced_at": part["bounced_at"],
        "email_bounce_reason": choose(np.isnat(part["bounced_at"]), None, "UNKNOWN_USER"),
        "is_flagged_duplicate": part["is_second"],
        "customer_group": choose(part["is_one_time"], "one time", choose(organisation, "organisation", "person")),
        "notes": _notes(rng, size, line_breaks),
    }
    if kind == "customer":
        frame["full_name"] = np.where(part["is_person"], part["full_name"], part["company_name"])
        frame["name1"], frame["name2"] = _split_names(frame["full_name"])
    return frame


def _merged_ids(lines: Frame) -> dict[str, str]:
    """By survivor: the ids of the records it took in."""
    found: dict[str, list[str]] = {}
    at = np.flatnonzero(~is_missing(lines["master_id"]))
    for master, merged in sorted(zip(lines["master_id"][at].tolist(), lines["source_id"][at].tolist(), strict=True)):
        found.setdefault(master, []).append(merged)
    return {master: ";".join(dict.fromkeys(ids)) for master, ids in found.items()}


def _stripped(numbers: Text) -> Text:
    return per_value(numbers, lambda number: number.lstrip("0") if number else None)


def _notes(rng: np.random.Generator, size: int, line_breaks: float) -> Text:
    """Free texts; some hold a line break, which is legal inside quotes."""
    notes = blank(size)
    notes[rng.random(size) < 0.05] = _NOTES[0]
    broken = rng.random(size) < line_breaks
    notes[broken] = text(list(_NOTES))[rng.integers(1, 3, int(broken.sum()))]
    return notes


def _split_names(names: Text) -> tuple[Text, Text]:
    """SAP's NAME1 takes 35 characters, the rest goes on in NAME2 with the next word."""
    first, second = names.copy(), blank(len(names))
    long = [name is not None and len(name) > _SAP_NAME_WIDTH for name in names.tolist()]
    for row in np.flatnonzero(long).tolist():
        cut = names[row].rfind(" ", 0, _SAP_NAME_WIDTH + 1)
        if cut > 0:
            first[row], second[row] = names[row][:cut], names[row][cut + 1 :]
    return first, second


def crm_frames(
    records: Frame, opportunities: Frame, stages: Frame, activity: Activity, system: int
) -> dict[str, Frame]:
    """What one CRM knows beside the parties; tickets and what follows only the main one."""
    part = take(opportunities, np.flatnonzero(opportunities["system"] == system))
    state = part["state"]
    names, won, lost = (STAGES_FX, "赢单", "输单") if system == FXIAOKE else (STAGES, WON, LOST)
    opportunity = {
        name: part[name] for name in ("source_id", "amount", "currency", "close_date", "lead_source", "owner")
    }
    opportunity |= {
        "party_source_id": part["party_id"],
        "party_source_object": np.full(len(state), "account", object),
        "name": part["title"],
        "stage": np.select([state == "won", state == "lost"], [won, lost], text(list(names))[part["step"]]),
        "state": state,
        "probability": part["probability"] * 100,
        "is_closed": state != "open",
        "is_won": state == "won",
        **{name: part[name] for name in ("is_deleted", "created_at", "modified_at")},
    }
    frames = {"opportunity": opportunity} | _interactions(records, activity.interactions, system)
    if system == FXIAOKE:
        return frames
    frames["stage"] = {
        "source_id": stages["source_id"],
        "opportunity_source_id": stages["opportunity_id"],
        "stage": stages["stage"],
        "amount": stages["amount"],
        "probability": stages["probability"] * 100,
        "close_date": stages["close_date"],
        "changed_by": stages["changed_by"],
        "changed_at": stages["changed_at"],
    }
    return frames | _service(activity)


def _interactions(records: Frame, interactions: Frame, system: int) -> dict[str, Frame]:
    """Interactions with people, and `meeting` for those with accounts in the main CRM."""
    found = {}
    for kind, event in (("interaction", False), ("meeting", True)):
        ours = (interactions["system"] == system) & (interactions["is_event"] == event)
        part = take(interactions, np.flatnonzero(ours))
        size = len(part["row"])
        is_call = part["duration"] >= 0
        found[kind] = {
            "source_id": part["source_id"],
            "party_source_id": part["party_id"],
            "party_source_object": KIND_OF_OBJECT[records["object"][part["row"]]],
            "channel": part["channel"],
            "direction": choose(is_call, choose(part["inbound"], "Inbound", "Outbound"), None),
            "subject": part["subject"],
            "status": np.full(size, "Completed", object),
            "duration_seconds": part["minutes"] * 60.0 if event else np.where(is_call, part["duration"], np.nan),
            "owner": part["owner"],
            "is_deleted": np.zeros(size, bool),
            "happened_at": part["happened_at"],
        }
    return found


def _service(activity: Activity) -> dict[str, Frame]:
    tickets, surveys, loyalty = activity.tickets, activity.surveys, activity.loyalty
    referrals, responses = activity.referrals, activity.responses
    kept = ("source_id", "subject", "category", "priority", "status", "channel", "owner", "opened_at", "closed_at")
    about = {"party_source_object": "contact"}

    def of(frame: Frame, columns: Frame) -> Frame:
        size = len(frame["source_id"])
        fixed = {name: np.full(size, value, object) for name, value in about.items()}
        return {"source_id": frame["source_id"], "party_source_id": frame["party_id"], **fixed, **columns}

    return {
        "ticket": of(
            tickets,
            {name: tickets[name] for name in kept}
            | {
                "first_response_at": tickets["answered_at"],
                "modified_at": np.fmax(tickets["closed_at"], tickets["opened_at"]),
                "account_id": tickets["account_id"],
                "number": tickets["number"],
            },
        ),
        "survey": of(
            surveys,
            {name: surveys[name] for name in ("kind", "comment", "responded_at")}
            | {"ticket_source_id": surveys["ticket_id"], "score": surveys["score"] * 100},
        ),
        "loyalty": of(
            loyalty,
            {name: loyalty[name] for name in ("kind", "happened_at")}
            | {"points": loyalty["points"] * 100, "order_source_id": loyalty["order_id"]},
        ),
        "referral": of(
            referrals,
            {name: referrals[name] for name in ("status", "referred_at")}
            | {"referred_source_id": referrals["referred_id"]},
        ),
        "response": of(
            responses, {name: responses[name] for name in ("campaign", "channel", "response", "responded_at")}
        ),
    }


def erp_frames(trade: Trade, with_heads: bool) -> dict[str, Frame]:
    """Orders, lines, invoices and payments; `with_heads`, the lines carry what their orders say as `order_...`."""
    orders, lines, invoices, payments = trade.orders, trade.lines, trade.invoices, trade.payments
    order: Frame = {name: orders[name] for name in ("source_id", "ordered_on", "due_on", "currency", "owner")}
    number = (orders["row"] % 90_000).astype(str).astype(object)
    order |= {
        "party_source_id": orders["party_id"],
        "party_source_object": np.full(len(number), "customer", object),
        "opportunity_source_id": orders["opportunity_id"],
        "amount": orders["amount"],
        "status": choose(orders["is_return"], "RE", "TA"),
        "category": choose(orders["is_return"], "H", "C"),
        "is_cancelled": orders["cancelled"],
        "state": choose(orders["cancelled"], "C", "B"),
        "modified_at": (orders["ordered_on"] + np.timedelta64(1, "D")).astype("datetime64[s]"),
        "purchase_order": np.where(is_missing(orders["opportunity_id"]), "WEB-", "PO-") + number,
        "region": choose(orders["country"] == 0, "CN01", "EX01"),
    }
    products = catalogue()
    heads = order if with_heads else {"source_id": order["source_id"]}
    line: Frame = {f"order_{name}": column[lines["order"]] for name, column in heads.items()}
    line |= {
        "line_number": lines["number"],
        "product_source_id": products["source_id"][lines["product"]],
        "product_name": products["name"][lines["product"]],
        "quantity": lines["quantity"] * 100,
        "unit_price": lines["price"],
        "amount": lines["amount"],
        **{name: order[name][lines["order"]] for name in ("currency", "is_cancelled", "ordered_on")},
    }
    invoice: Frame = {name: invoices[name] for name in ("source_id", "invoiced_on", "due_on", "amount", "currency")}
    invoice |= {
        "party_source_id": invoices["party_id"],
        "party_source_object": np.full(len(invoices["amount"]), "customer", object),
        "order_source_id": invoices["order_id"],
        "tax_amount": invoices["tax"],
        "total": invoices["amount"] + invoices["tax"],
        "status": choose(invoices["amount"] < 0, "G2", "F2"),
        "is_cancelled": invoices["cancelled"],
        "modified_at": invoices["invoiced_on"].astype("datetime64[s]"),
    }
    payment: Frame = {name: payments[name] for name in ("source_id", "paid_on", "amount", "currency", "method")}
    payment |= {
        "party_source_id": payments["party_id"],
        "party_source_object": np.full(len(payments["amount"]), "customer", object),
        "invoice_source_id": payments["invoice_id"],
        "size": np.abs(payments["amount"]),
        "sign": choose(payments["amount"] < 0, "S", "H"),
        "posted_on": payments["paid_on"],
    }
    return {"order": order, "line": line, "invoice": invoice, "payment": payment}


def product_frame() -> Frame:
    """The products, the same for every seed."""
    products = catalogue()
    size = len(products["source_id"])
    return {
        name: products[name] for name in ("source_id", "name", "category", "subcategory", "is_active", "valid_from")
    } | {
        "list_price": products["price"],
        "cost": products["cost"],
        "currency": np.full(size, "CNY", object),
        "modified_at": (products["valid_from"] + np.timedelta64(200, "D")).astype("datetime64[s]"),
    }
