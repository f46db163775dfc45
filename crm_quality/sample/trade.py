"""Products, orders, invoices and payments. Does not belong here: the pipeline before the order."""

# mypy: disable-error-code="no-any-return"
# (numpy types what is computed from text columns as Any.)

from dataclasses import dataclass
from typing import Any

import numpy as np

from crm_quality.sample.columns import Array, Frame, blank, digits, pick, pick_index, stack, take, text
from crm_quality.sample.context import Context
from crm_quality.sample.records import KNA1
from crm_quality.sample.vocabulary import CURRENCY, RATE, words

WRONG_CURRENCIES = ("RMB", "XXX", "EURO", "US$", "???", "ZZZ")
PRODUCTS_PER_LINE = 18
# January to December; the trough is Chinese New Year, the peaks are 618 and Singles' Day.
_SEASON = (0.8, 0.5, 1.0, 1.1, 1.15, 1.25, 0.9, 0.85, 1.05, 1.0, 1.5, 1.2)
_TAX_RATE = np.array([0.13, 0.07, 0.20, 0.19, 0.20, 0.21, 0.10])


@dataclass(frozen=True)
class Trade:
    """The sales documents of a chunk. Amounts are in hundredths of the document's currency."""

    orders: Frame
    lines: Frame
    invoices: Frame
    payments: Frame


def catalogue() -> Frame:
    """All products with their list price in hundredths of a CNY; the same for every seed."""
    rng = np.random.default_rng(618)
    rows: list[tuple[Any, ...]] = []
    for category, subcategory, word, code, low, high in words("products")["lines"]:
        for size, position in enumerate(np.sort(rng.random(PRODUCTS_PER_LINE))):
            price = int(round(low * (high / low) ** position, -1)) * 100
            since = np.datetime64("2016-01-01", "D") + int(rng.integers(0, 900))
            active = rng.random() < 0.93
            rows.append(
                (
                    f"{code}-{(size + 1) * 100}",
                    f"{word} {(size + 1) * 100}",
                    category,
                    subcategory,
                    price,
                    since,
                    active,
                )
            )
    names = ("source_id", "name", "category", "subcategory", "price", "valid_from", "is_active")
    products: Frame = {name: text(list(column)) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    products["price"] = products["price"].astype(np.int64)
    products["valid_from"] = products["valid_from"].astype("datetime64[D]")
    products["is_active"] = products["is_active"].astype(bool)
    products["cost"] = (products["price"] * 0.62).astype(np.int64)
    return products


def build_trade(context: Context, world: Frame, records: Frame) -> Trade:
    """Everything bought by the customers of a chunk, and what became of it."""
    rng, sequences, today = context.rng, context.sequences, context.today
    orders = _orders(rng, world, records, today)
    lines = _lines(rng, world, records, orders)
    orders, lines = _with_returns(rng, orders, lines, today)
    orders["source_id"] = digits(4_500_000_000 + sequences.take("order", len(orders["row"])), 10)
    lines["source_id"] = orders["source_id"][lines["order"]]
    orders["amount"] = np.bincount(lines["order"], lines["amount"], len(orders["row"])).round().astype(np.int64)
    orders["cancelled"] = (rng.random(len(orders["row"])) < context.rates.cancelled) & ~orders["is_return"]
    orders["opportunity_id"] = blank(len(orders["row"]))
    invoices = _invoices(context, records, orders)
    return Trade(orders, lines, invoices, _payments(context, invoices))


def _orders(rng: np.random.Generator, world: Frame, records: Frame, today: np.datetime64) -> Frame:
    """Repeat purchases as BG/NBD has them: gamma rates, a beta chance to leave after each order."""
    rows = np.flatnonzero((records["object"] == KNA1) & (records["entity"] >= 0))
    entity = records["entity"][rows]
    buyers, first_at = np.unique(entity, return_index=True)
    person = world["is_person"][buyers]
    per_year = rng.gamma(0.9, np.where(person, 1.2, 2.7) / 0.9, len(buyers)) + 0.05
    count = np.minimum(rng.geometric(np.maximum(rng.beta(0.9, 4.2, len(buyers)), 0.012)), 80)
    group = np.repeat(np.arange(len(buyers)), count)
    start = np.cumsum(count) - count
    gap = rng.exponential(365.0 / per_year[group])
    elapsed = np.cumsum(gap)
    elapsed -= elapsed[start][group]
    first_day = world["start"][buyers] + rng.integers(0, 25, len(buyers)).astype("timedelta64[D]")
    day = _seasonal(first_day[group] + elapsed.astype("timedelta64[D]"))
    day = np.maximum(day, first_day[group])
    kept = day < today
    group, day = group[kept], day[kept]
    # With two records in the ERP, some orders are booked on either.
    second = np.full(len(world["number"]), -1)
    second[entity] = rows
    row = np.where(rng.random(len(group)) < 0.5, second[buyers[group]], rows[first_at[group]])
    one_time = np.flatnonzero(records["is_one_time"])
    extra = rng.choice(one_time, len(one_time) * 4) if len(one_time) else one_time
    extra_day = today - rng.integers(5, 900, len(extra)).astype("timedelta64[D]")
    row, day = np.concatenate([row, extra]), np.concatenate([day, extra_day])
    order = np.argsort(day, kind="stable")
    row, day = row[order], day[order]
    country = records["country_index"][row]
    return {
        "row": row,
        "entity": records["entity"][row],
        "ordered_on": day,
        "due_on": day + rng.integers(5, 35, len(row)).astype("timedelta64[D]"),
        "country": country,
        "currency": CURRENCY[country],
        "owner": records["owner"][row],
        "party_id": records["source_id"][row],
        "is_return": np.zeros(len(row), bool),
        "discount": text([0, 0, 0, 5, 10])[rng.integers(0, 5, len(row))].astype(np.int64),
    }


def _seasonal(days: Array) -> Array:
    """Move days within their year so that months get their share; the order of days is kept."""
    year = days.astype("datetime64[Y]")
    day_of_year = (days - year.astype("datetime64[D]")).astype(np.int64)
    share = np.concatenate([[0.0], np.cumsum(np.array(_SEASON) / sum(_SEASON))])
    moved = np.interp((day_of_year + 0.5) / 366.0, share, np.arange(13) / 12.0) * 365.0
    return year.astype("datetime64[D]") + moved.astype("timedelta64[D]")


def _lines(rng: np.random.Generator, world: Frame, records: Frame, orders: Frame) -> Frame:
    products = catalogue()
    size = len(orders["row"])
    count = 1 + np.minimum(rng.poisson(2.4, size), 14)
    order = np.repeat(np.arange(size), count)
    person = records["is_person"][orders["row"]]
    # Everyone has a favourite range, so that customers differ in what they spend; the rest is by popularity.
    home = (orders["entity"] * 2_654_435 + 97) % len(products["price"])
    near = (home[order] + pick_index(rng, 24, len(order), 0.8)) % len(products["price"])
    popular = (pick_index(rng, len(products["price"]), len(order), 1.0) * 89 + 41) % len(products["price"])
    product = np.where(rng.random(len(order)) < 0.6, near, popular)
    # Nobody buys a screw compressor for the garden.
    costly = products["price"][product] > 1_500_000
    product = np.where(person[order] & costly, (popular * 7 + 13) % PRODUCTS_PER_LINE + 11 * PRODUCTS_PER_LINE, product)
    quantity = np.minimum(rng.geometric(np.where(person[order], 0.75, 0.35)), 40)
    country = orders["country"][order]
    price = products["price"][product] * np.array(RATE)[country] * (1 - orders["discount"][order] / 100)
    price = np.where(country == 6, np.round(price / 100) * 100, np.round(price)).astype(np.int64)
    first = np.cumsum(count) - count
    return {
        "order": order,
        "number": (np.arange(len(order)) - first[order] + 1) * 10,
        "product": product,
        "quantity": quantity,
        "price": price,
        "amount": price * quantity,
    }


def _with_returns(rng: np.random.Generator, orders: Frame, lines: Frame, today: np.datetime64) -> tuple[Frame, Frame]:
    """Some orders come back whole: a document of its own, with everything negative."""
    back = np.flatnonzero(
        (rng.random(len(orders["row"])) < 0.012) & (orders["ordered_on"] + np.timedelta64(40, "D") < today)
    )
    returned = take(orders, back)
    returned["ordered_on"] = returned["ordered_on"] + np.timedelta64(21, "D")
    returned["due_on"] = returned["ordered_on"]
    returned["is_return"] = np.ones(len(back), bool)
    place = np.full(len(orders["row"]), -1)
    place[back] = np.arange(len(back)) + len(orders["row"])
    copies = take(lines, np.flatnonzero(place[lines["order"]] >= 0))
    copies["order"] = place[copies["order"]]
    copies["quantity"], copies["amount"] = -copies["quantity"], -copies["amount"]
    return stack([orders, returned]), stack([lines, copies])


def _invoices(context: Context, records: Frame, orders: Frame) -> Frame:
    rng, sequences, today = context.rng, context.sequences, context.today
    size = len(orders["row"])
    billed_on = orders["ordered_on"] + rng.integers(1, 30, size).astype("timedelta64[D]")
    at = np.flatnonzero(~orders["cancelled"] & (billed_on < today) & (rng.random(size) < 0.985))
    at = at[np.argsort(billed_on[at], kind="stable")]
    amount = orders["amount"][at]
    tax = np.round(amount * _TAX_RATE[orders["country"][at]]).astype(np.int64)
    terms = pick(rng, np.array([30, 14, 60]), len(at)).astype(np.int64)
    terms[records["is_person"][orders["row"][at]]] = 0
    return {
        "source_id": digits(9_000_000_000 + sequences.take("invoice", len(at)), 10),
        "order": at,
        "order_id": orders["source_id"][at],
        "party_id": orders["party_id"][at],
        "invoiced_on": billed_on[at],
        "due_on": billed_on[at] + terms.astype("timedelta64[D]"),
        "amount": amount,
        "tax": tax,
        "currency": orders["currency"][at],
        "cancelled": rng.random(len(at)) < 0.012,
    }


def _payments(context: Context, invoices: Frame) -> Frame:
    rng, sequences, today, rates = context.rng, context.sequences, context.today, context.rates
    size = len(invoices["source_id"])
    late = rng.gamma(1.4, 9.0, size).astype("timedelta64[D]") - np.timedelta64(4, "D")
    paid_on = np.maximum(invoices["due_on"] + late, invoices["invoiced_on"])
    draw = rng.random(size)
    unpaid = draw < rates.unpaid
    partly = (draw >= rates.unpaid) & (draw < rates.unpaid + rates.partly_paid)
    in_two = ~unpaid & ~partly & (rng.random(size) < 0.06)
    owed = invoices["amount"] + invoices["tax"]
    first_part = np.where(partly | in_two, np.round(owed * rng.uniform(0.3, 0.7, size)), owed).astype(np.int64)
    settled = ~unpaid & ~invoices["cancelled"]
    first, second = np.flatnonzero(settled & (paid_on < today)), np.flatnonzero(settled & in_two)
    later = paid_on[second] + rng.integers(10, 45, len(second)).astype("timedelta64[D]")
    second, later = second[later < today], later[later < today]
    invoice = np.concatenate([first, second])
    return {
        "source_id": digits(1_400_000_000 + sequences.take("payment", len(invoice)), 10),
        "invoice_id": invoices["source_id"][invoice],
        "party_id": invoices["party_id"][invoice],
        "paid_on": np.concatenate([paid_on[first], later]),
        "amount": np.concatenate([first_part[first], (owed - first_part)[second]]),
        "currency": invoices["currency"][invoice],
        "method": pick(rng, ("T", "U", "A", "K"), len(invoice), 1.0),
    }


def spoil_orders(context: Context, orders: Frame) -> None:
    """Orders of nobody and in money that does not exist; the invoices were written right."""
    rng, rates = context.rng, context.rates
    for column, field, kind, rate in (
        ("party_id", "party_source_id", "orphan", rates.orphans),
        ("currency", "currency", "wrong_currency", rates.wrong_currency),
    ):
        at = np.flatnonzero(rng.random(len(orders["row"])) < rate)
        keys = np.full(len(at), "sap", object), np.full(len(at), "VBAK", object), orders["source_id"][at]
        context.log.add("sales_order", field, kind, keys, orders[column][at])
        # Customer numbers of 99... are given to nobody.
        wrong = digits(9_900_000_000 + rng.integers(0, 10**7, len(at)), 10)
        orders[column][at] = wrong if kind == "orphan" else pick(rng, WRONG_CURRENCIES, len(at))
