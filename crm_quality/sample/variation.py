"""Mistakes and variants in the records of real customers. Does not belong here: records of nobody."""

# mypy: disable-error-code="no-any-return"
# (numpy types what is computed from text columns as Any.)

from itertools import pairwise

import numpy as np

from crm_quality.sample.columns import Array, Frame, Mask, Text, change, day_text, is_missing, pick
from crm_quality.sample.context import Context
from crm_quality.sample.dirt import DamageLog
from crm_quality.sample.records import CONTACT, KNA1, LEAD, full_names, keys_of, phone_text, streets_of
from crm_quality.sample.vocabulary import nicknames, signs

PLACEHOLDER_PHONES = ("13800000000", "13800138000", "12345678", "00000000", "11111111111", "123456789")
PLACEHOLDER_EMAILS = (
    "noreply@example.com",
    "test@test.com",
    "none@none.com",
    "no@email.com",
    "xxx@xxx.com",
    "a@a.com",
)
IMPOSSIBLE_DATES = (
    "2035-06-01",
    "1899-12-31",
    "1985-02-30",
    "0000-00-00",
    "1800-01-01",
    "2099-12-31",
    "1990-13-05",
)


def spoil_records(context: Context, world: Frame, records: Frame) -> None:
    """Bring in everything that goes wrong with a party record, and note it."""
    log = context.log
    records["birth_date"] = day_text(records["birth"])
    _note(
        log,
        records,
        "full_name",
        "pinyin",
        _pinyin_rows(world, records),
        world["family_hanzi"],
        world["given_hanzi"],
    )
    _spoil_company_names(context, world, records)
    _spoil_person_names(context, records)
    contact_hit = _spoil_contact(context, world, records)
    _spoil_address(context, world, records, ~contact_hit)
    _spoil_birth_dates(context, records)
    _spoil_tax_ids(context, records)
    employed = world["employer"][records["entity"]] >= 0
    shared = np.flatnonzero(records["is_person"] & employed & ~is_missing(records["phone"]))
    log.add("party", "phone", "shared_phone", keys_of(records, shared), records["phone"][shared])


def _pinyin_rows(world: Frame, records: Frame) -> Array:
    return np.flatnonzero(records["latin"] & records["is_person"] & (world["country"][records["entity"]] == 0))


def _note(log: DamageLog, records: Frame, column: str, kind: str, at: Array, *of_entity: Text) -> None:
    before = of_entity[0][records["entity"][at]]
    for part in of_entity[1:]:
        before = before + part[records["entity"][at]]
    log.add("party", column, kind, keys_of(records, at), before)


def _slots(rng: np.random.Generator, size: int, shares: tuple[float, ...]) -> list[Mask]:
    """Exclusive random subsets: no record is hit twice, so that it stays possible to tell whose it is."""
    draw = rng.random(size)
    edges = np.concatenate([[0.0], np.cumsum(shares)])
    return [(draw >= low) & (draw < high) for low, high in pairwise(edges)]


def _spoil_company_names(context: Context, world: Frame, records: Frame) -> None:
    rng, rates, log = context.rng, context.rates, context.log
    organisation = ~records["is_person"]
    short, typo = _slots(rng, len(organisation), (rates.short_company_name, rates.name_typo))
    # The short name of a Chinese company exists in Chinese only.
    hanzi_or_abroad = ~records["latin"] | (world["country"][records["entity"]] != 0)
    at = np.flatnonzero(organisation & short & hanzi_or_abroad)
    log.add("party", "company_name", "short_name", keys_of(records, at), records["company_name"][at])
    records["company_name"][at] = world["company_short"][records["entity"][at]]
    _apply_typos(context, records, "company_name", organisation & typo)
    at = np.flatnonzero(organisation & records["latin"] & (world["country"][records["entity"]] == 0))
    _note(log, records, "company_name", "pinyin", at, world["company"])


def _spoil_person_names(context: Context, records: Frame) -> None:
    rng, rates, log = context.rng, context.rates, context.log
    person = records["is_person"]
    typo_family, typo_given, swapped, nickname = _slots(
        rng, len(person), (rates.name_typo / 2, rates.name_typo / 2, rates.swapped_names, rates.nickname)
    )
    known = nicknames()
    has_nickname = np.array([name in known for name in records["given_name"].tolist()], dtype=bool)
    split = np.isin(records["object"], (CONTACT, LEAD))
    before = records["full_name"].copy()
    original = {name: records[name].copy() for name in ("family_name", "given_name")}
    change(records["family_name"], person & typo_family, lambda value: typo(rng, value))
    change(records["given_name"], person & typo_given, lambda value: typo(rng, value))
    nickname &= has_nickname
    change(records["given_name"], nickname, lambda value: known[value])
    at = np.flatnonzero(person & swapped)
    records["given_name"][at], records["family_name"][at] = (
        original["family_name"][at],
        original["given_name"][at],
    )
    records["full_name"] = full_names(records)
    for column, kind, where in (
        ("family_name", "typo", typo_family),
        ("given_name", "typo", typo_given),
        ("given_name", "nickname", nickname),
        ("given_name", "swapped_names", swapped),
    ):
        whole = np.flatnonzero(person & where & ~split & (before != records["full_name"]))
        log.add("party", "full_name", kind, keys_of(records, whole), before[whole])
        parts = np.flatnonzero(person & where & split & (original[column] != records[column]))
        log.add("party", column, kind, keys_of(records, parts), original[column][parts])


def typo(rng: np.random.Generator, value: str) -> str:
    """One slip: a sign left out, doubled, swapped with its neighbour, or (Chinese) taken for another."""
    if not value.isascii() and value[0] > "\u2e80":
        table = signs("given_neutral").hanzi
        at = int(rng.integers(0, len(value)))
        sign = str(table[int(rng.integers(0, len(table)))])
        return value[:at] + (sign if sign != value[at] else "伟") + value[at + 1 :]
    if len(value) < 3:
        return value + value[-1:]
    at, kind = int(rng.integers(1, len(value) - 1)), int(rng.integers(0, 3))
    if kind == 0:
        return value[:at] + value[at + 1 :]
    if kind == 1 or value[at] == value[at + 1]:
        return value[:at] + value[at] + value[at:]
    return value[:at] + value[at + 1] + value[at] + value[at + 2 :]


def _apply_typos(context: Context, records: Frame, column: str, where: Mask) -> None:
    rng, log = context.rng, context.log
    at = np.flatnonzero(where & ~is_missing(records[column]))
    log.add("party", column, "typo", keys_of(records, at), records[column][at])
    change(records[column], where, lambda value: typo(rng, value))


def _spoil_contact(context: Context, world: Frame, records: Frame) -> Mask:
    rng, rates, log = context.rng, context.rates, context.log
    slots = _slots(
        rng,
        len(records["entity"]),
        (
            rates.email_typo,
            rates.invalid_email,
            rates.placeholder_email,
            rates.invalid_phone,
            rates.placeholder_phone,
            rates.old_phone,
        ),
    )
    for where, kind in zip(slots[:3], ("typo", "invalid_email", "placeholder"), strict=True):
        at = np.flatnonzero(where & ~is_missing(records["email"]))
        log.add("party", "email", kind, keys_of(records, at), records["email"][at])
    change(records["email"], slots[0], lambda value: _email_typo(rng, value))
    change(records["email"], slots[1], lambda value: _broken_email(rng, value))
    change(
        records["email"],
        slots[2],
        lambda _: PLACEHOLDER_EMAILS[int(rng.integers(0, len(PLACEHOLDER_EMAILS)))],
    )
    column = np.where(is_missing(records["mobile"]), "phone", "mobile")
    for name in ("mobile", "phone"):
        for where, kind in zip(slots[3:], ("invalid_phone", "placeholder", "old_phone"), strict=True):
            # Only what a person can be told by is worth spoiling; a switchboard is never out of date for one.
            chosen = where & (column == name) & ~(records["is_person"] & (name == "phone"))
            chosen &= kind != "old_phone" or name == "mobile"
            at = np.flatnonzero(chosen & ~is_missing(records[name]))
            log.add("party", name, kind, keys_of(records, at), records[name][at])
            entity = records["entity"][at]
            retired = phone_text(
                rng, world["country"][entity], world["old_mobile"][entity], records["international"][at]
            )
            records[name][at] = _spoilt_phones(rng, kind, records[name][at], retired)
    return np.any(slots, axis=0)


def _spoilt_phones(rng: np.random.Generator, kind: str, before: Text, retired: Text) -> Text:
    if kind == "invalid_phone":
        changed = before.copy()
        changed[:] = [value[: max(len(value) - 6, 3)] for value in before.tolist()]
        return changed
    if kind == "placeholder":
        return pick(rng, PLACEHOLDER_PHONES, len(before), 1.0)
    return retired


def _email_typo(rng: np.random.Generator, value: str) -> str:
    local, _, domain = value.partition("@")
    return f"{typo(rng, local)}@{domain}"


def _broken_email(rng: np.random.Generator, value: str) -> str:
    ways = (
        value.replace("@", ""),
        value.replace("@", "@@"),
        value.partition("@")[0] + "@",
        value.replace(".", ","),
    )
    return ways[int(rng.integers(0, len(ways)))]


def _spoil_address(context: Context, world: Frame, records: Frame, free: Mask) -> None:
    rng, rates, log = context.rng, context.rates, context.log
    wrong, old, missing, no_country = _slots(
        rng, len(free), (rates.street_typo, rates.old_address, rates.missing_address, rates.missing_country)
    )
    _apply_typos(context, records, "street", wrong & free)
    at = np.flatnonzero(old & free)
    log.add("party", "street", "old_address", keys_of(records, at), records["street"][at])
    records["street"][at] = streets_of(world, records["address_of"][at], records["latin"][at], "old_")
    at = np.flatnonzero(missing & free)
    for column in ("street", "city", "region", "postal_code"):
        present = at[~is_missing(records[column][at])]
        log.add("party", column, "missing", keys_of(records, present), records[column][present])
        records[column][at] = None
    # LAND1 is a required field of the ERP.
    at = np.flatnonzero(no_country & (records["object"] != KNA1))
    log.add("party", "country", "missing", keys_of(records, at), records["country"][at])
    records["country"][at] = None


def _spoil_birth_dates(context: Context, records: Frame) -> None:
    rng, rates, log = context.rng, context.rates, context.log
    hit = ~is_missing(records["birth_date"]) & (rng.random(len(records["entity"])) < rates.impossible_birth_date)
    at = np.flatnonzero(hit)
    log.add("party", "birth_date", "impossible_date", keys_of(records, at), records["birth_date"][at])
    records["birth_date"][at] = pick(rng, IMPOSSIBLE_DATES, len(at))


def _spoil_tax_ids(context: Context, records: Frame) -> None:
    rng, rates, log = context.rng, context.rates, context.log
    chinese = records["country_index"] == 0
    hit = ~is_missing(records["tax_id"]) & chinese & (rng.random(len(chinese)) < rates.invalid_tax_id / 0.7)
    at = np.flatnonzero(hit)
    log.add("party", "tax_id", "invalid_check_digit", keys_of(records, at), records["tax_id"][at])
    change(records["tax_id"], hit, lambda value: value[:-1] + ("1" if value[-1] != "1" else "2"))
