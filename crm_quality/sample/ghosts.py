"""Records with no real customer behind them. Does not belong here: mistakes about real ones."""

import numpy as np

from crm_quality.sample.columns import Array, Frame, blank, choose, digits, pick, stack, take, text
from crm_quality.sample.context import Context
from crm_quality.sample.records import (
    ACCOUNT,
    CONTACT,
    FX_ACCOUNT,
    FX_CONTACT,
    FX_LEAD,
    KNA1,
    LEAD,
    SYSTEM_OF_OBJECT,
    has_field,
    source_ids,
)

KINDS = ("keyboard_mash", "test_record", "bulk_created", "invented", "one_time_account", "leftover")
_SHARES = (0.16, 0.20, 0.26, 0.22, 0.04, 0.12)
_MASH = (
    "asdf",
    "asdfgh",
    "qwerty",
    "qwe",
    "zxcv",
    "aaa",
    "xxxx",
    "sdfsdf",
    "fghj",
    "jkl",
    "阿斯顿",
    "啊啊啊",
    "的的的",
    "1111",
    "...",
)
_TEST = (
    "test",
    "Test Test",
    "测试",
    "测试客户",
    "test123",
    "demo",
    "TEST USER",
    "测试数据",
    "Test Account",
    "dummy",
)
_LEFTOVER = (
    "DO NOT USE",
    "请勿使用",
    "待删除",
    "to be deleted",
    "作废",
    "old - closed",
    "已停用",
    "duplicate - do not use",
)
_ONE_TIME = ("一次性客户", "CPD Kunde", "One-time customer", "零售散客", "Barverkauf")
_DEAD_DOMAINS = ("qwer.invalid", "nomail.invalid", "none.test", "abc123.invalid", "mailbox.test")
BULK_USER = "import.tmp"


def add_ghosts(context: Context, records: Frame) -> Frame:
    """The records with ghosts below them; a ghost's entity is -1."""
    rng, sequences = context.rng, context.sequences
    count = round(len(records["entity"]) * context.rates.ghosts)
    if not count:
        return records
    kinds = text(list(KINDS))[np.searchsorted(np.cumsum(_SHARES)[:-1], rng.random(count), side="right")]
    objects = pick(rng, np.array([CONTACT, LEAD, FX_CONTACT, FX_LEAD, ACCOUNT, FX_ACCOUNT, KNA1]), count, 0.3).astype(
        np.int64
    )
    objects[kinds == "one_time_account"] = KNA1
    objects[kinds == "bulk_created"] = CONTACT
    invented = (kinds == "invented") & np.isin(objects, (ACCOUNT, FX_ACCOUNT, KNA1))
    objects[invented] = LEAD
    person = ~np.isin(objects, (ACCOUNT, FX_ACCOUNT)) & (kinds != "one_time_account")
    # A ghost starts as a copy of some record of its own object, so that every field has a likely value.
    ghosts = take(records, _models(rng, records, objects, person))
    ghosts |= {
        "entity": np.full(count, -1),
        "object": objects,
        "system": SYSTEM_OF_OBJECT[objects],
        "is_person": person,
    }
    _forget(ghosts)
    ghosts["ghost"] = kinds
    _keep_time(rng, ghosts, context.today)
    ghosts["source_id"] = source_ids(ghosts, sequences)
    ghosts["account_number"] = choose(objects == KNA1, ghosts["source_id"], None)
    # Running numbers keep two ghosts from sharing a phone number or a mailbox by chance.
    ghosts["serial"] = sequences.take("ghost", count)
    for kind, make in (
        ("keyboard_mash", _mash),
        ("test_record", _test),
        ("bulk_created", _bulk),
        ("invented", _invent),
        ("one_time_account", _one_time),
        ("leftover", _leave),
    ):
        make(rng, ghosts, np.flatnonzero(kinds == kind))
    del ghosts["serial"]
    for name in ("email", "mobile", "birth_date"):
        ghosts[name] = choose(has_field(objects, name), ghosts[name], None)
    return stack([records, ghosts])


def _models(rng: np.random.Generator, records: Frame, objects: Array, person: Array) -> Array:
    model = np.zeros(len(objects), np.int64)
    for number in np.unique(objects):
        for is_person in (True, False):
            at = np.flatnonzero((objects == number) & (person == is_person))
            pool = np.flatnonzero((records["object"] == number) & (records["is_person"] == is_person))
            pool = pool if len(pool) else np.flatnonzero(records["is_person"] == is_person)
            if len(at):
                model[at] = rng.choice(pool if len(pool) else np.arange(len(records["object"])), len(at))
    return model


def _forget(ghosts: Frame) -> None:
    """Take away what would tie the copy to the customer it was made from."""
    size = len(ghosts["entity"])
    for name in ("parent_source_id", "master_id", "merged_into", "national_id", "tax_id", "phone", "website"):
        ghosts[name] = blank(size)
    for name in ("is_deleted", "is_second", "converted", "is_blocked", "is_one_time"):
        ghosts[name] = np.zeros(size, bool)
    for name in ("contact_row", "first_row"):
        ghosts[name] = np.full(size, -1)


def _keep_time(rng: np.random.Generator, ghosts: Frame, today: np.datetime64) -> None:
    bulk = np.flatnonzero(ghosts["ghost"] == "bulk_created")
    # The burst: one evening, one user, a record every other second.
    evening = (today - np.timedelta64(int(rng.integers(60, 900)), "D")).astype("datetime64[s]") + np.timedelta64(
        21, "h"
    )
    ghosts["created_at"][bulk] = evening + (np.arange(len(bulk)) * 2 % 3600).astype("timedelta64[s]")
    ghosts["created_by"][bulk] = BULK_USER
    ghosts["modified_at"] = ghosts["created_at"].copy()


def _rename(ghosts: Frame, at: Array, names: Array) -> None:
    person = at[ghosts["is_person"][at]]
    ghosts["company_name"][at] = names
    ghosts["company_name"][person] = None
    ghosts["full_name"][person] = names[ghosts["is_person"][at]]
    ghosts["family_name"][person] = names[ghosts["is_person"][at]]
    ghosts["given_name"][person] = None
    ghosts["full_name"][at[~ghosts["is_person"][at]]] = None


def _unreachable(ghosts: Frame, at: Array) -> None:
    for name in ("street", "city", "region", "postal_code", "gender", "birth_date", "job_title", "industry"):
        ghosts[name][at] = None


def _mash(rng: np.random.Generator, ghosts: Frame, at: Array) -> None:
    _rename(ghosts, at, pick(rng, _MASH, len(at)))
    _unreachable(ghosts, at)
    ghosts["mobile"][at] = pick(rng, ("13800000000", "11111111111", "123456", None), len(at))
    ghosts["email"][at] = pick(rng, ("asdf@asdf.com", "qwe@qwe.com", "a@a.com", None), len(at))


def _test(rng: np.random.Generator, ghosts: Frame, at: Array) -> None:
    _rename(ghosts, at, pick(rng, _TEST, len(at)))
    _unreachable(ghosts, at)
    ghosts["mobile"][at] = pick(rng, ("13800000000", "13800138000", "12345678", None), len(at))
    ghosts["email"][at] = pick(rng, ("test@test.com", "noreply@example.com", "test@example.com", None), len(at))


def _bulk(rng: np.random.Generator, ghosts: Frame, at: Array) -> None:
    """Invented in a spreadsheet: plausible names, one number after the other."""
    _scramble_names(rng, ghosts, at)
    _unreachable(ghosts, at)
    ghosts["mobile"][at] = digits(13_960_000_000 + ghosts["serial"][at] % 10_000_000)
    ghosts["email"][at] = None


def _invent(rng: np.random.Generator, ghosts: Frame, at: Array) -> None:
    """Made up to meet a quota: a person with a mailbox that does not exist, never contacted."""
    _scramble_names(rng, ghosts, at)
    ghosts["email"][at] = "user" + digits(1000 + ghosts["serial"][at]) + "@" + pick(rng, _DEAD_DOMAINS, len(at))
    ghosts["mobile"][at] = None
    ghosts["birth_date"][at] = None
    bounced = at[rng.random(len(at)) < 0.7]
    ghosts["bounced_at"][bounced] = ghosts["created_at"][bounced] + np.timedelta64(1, "D")
    ghosts["street"][at] = None


def _one_time(rng: np.random.Generator, ghosts: Frame, at: Array) -> None:
    _rename(ghosts, at, pick(rng, _ONE_TIME, len(at)))
    _unreachable(ghosts, at)
    ghosts["mobile"][at] = None
    ghosts["is_one_time"][at] = True


def _leave(rng: np.random.Generator, ghosts: Frame, at: Array) -> None:
    _rename(ghosts, at, pick(rng, _LEFTOVER, len(at)))
    _unreachable(ghosts, at)
    ghosts["mobile"][at], ghosts["email"][at] = None, None
    ghosts["is_blocked"][at] = ghosts["object"][at] == KNA1


def _scramble_names(rng: np.random.Generator, ghosts: Frame, at: Array) -> None:
    """Family names of some, given names of others: nobody is called so by more than chance."""
    order = rng.permutation(len(at))
    swapped = ghosts["latin"][at] == ghosts["latin"][at][order]
    person = ghosts["is_person"][at] & ghosts["is_person"][at][order]
    chosen, donor = at[swapped & person], at[order][swapped & person]
    ghosts["given_name"][chosen] = ghosts["given_name"][donor].copy()
    latin = ghosts["latin"][chosen]
    given, family = ghosts["given_name"][chosen], ghosts["family_name"][chosen]
    ghosts["full_name"][chosen] = np.where(latin, given + " " + family, family + given)
