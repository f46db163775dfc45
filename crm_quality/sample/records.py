"""Which records exist in the three systems, and their values. Does not belong here: mistakes."""

# mypy: disable-error-code="no-any-return"
# (numpy types what is computed from text columns as Any.)

import numpy as np

from crm_quality.sample import identifiers
from crm_quality.sample.columns import (
    Array,
    Frame,
    Mask,
    Text,
    blank,
    choose,
    digits,
    is_missing,
    join,
    moments_between,
    pick,
    pick_index,
    text,
)
from crm_quality.sample.context import Context, Sequences
from crm_quality.sample.dirt import DirtRates
from crm_quality.sample.vocabulary import COUNTRIES, DIAL_CODE, TRUNK, cities, streets, words

SYSTEMS = text(["salesforce", "fxiaoke", "sap"])
SALESFORCE, FXIAOKE, SAP = range(3)
OBJECTS = text(["Account", "Contact", "Lead", "AccountObj", "ContactObj", "LeadsObj", "KNA1"])
ACCOUNT, CONTACT, LEAD, FX_ACCOUNT, FX_CONTACT, FX_LEAD, KNA1 = range(7)
SYSTEM_OF_OBJECT = np.array([0, 0, 0, 1, 1, 1, 2])
OWNERS = text(
    [
        "li.na",
        "chen.hao",
        "wang.jing",
        "zhao.lei",
        "liu.yang",
        "sun.mei",
        "j.baker",
        "a.fischer",
        "m.dubois",
        "k.tanaka",
        "r.ortega",
        "s.novak",
    ]
)

# What each object has a field for; the rest stays empty there.
FIELDS = {
    "email": (ACCOUNT, CONTACT, LEAD, FX_ACCOUNT, FX_CONTACT, FX_LEAD),
    "mobile": (CONTACT, LEAD, FX_CONTACT, FX_LEAD, KNA1),
    "birth_date": (CONTACT, FX_CONTACT),
    "national_id": (FX_CONTACT,),
    "tax_id": (ACCOUNT, FX_ACCOUNT, KNA1),
    "website": (ACCOUNT, FX_ACCOUNT),
    "postal_code": (ACCOUNT, CONTACT, LEAD, KNA1),
    "gender": (CONTACT, LEAD, FX_CONTACT),
}


def has_field(objects: Array, name: str) -> Mask:
    """Which records are of an object that has the field."""
    return np.isin(objects, FIELDS[name])


def build_records(context: Context, world: Frame) -> Frame:
    """One row per record, in no system's own shape yet: canonical values, all of them right."""
    rng, rates = context.rng, context.rates
    records = _memberships(rng, world, rates)
    _choose_objects(rng, world, records)
    _stamp(rng, world, records, context.today)
    records["source_id"] = source_ids(records, context.sequences)
    records["latin"] = _in_latin_letters(rng, world, records, rates)
    _name(world, records)
    _addresses(rng, world, records)
    _reach(rng, world, records, rates)
    _numbers(rng, world, records, rates)
    _links(rng, world, records, rates)
    return records


def keys_of(records: Frame, where: Array) -> tuple[Array, Array, Array]:
    """Source keys of some records: system, object, id."""
    objects = records["object"][where]
    return SYSTEMS[SYSTEM_OF_OBJECT[objects]], OBJECTS[objects], records["source_id"][where]


def _memberships(rng: np.random.Generator, world: Frame, rates: DirtRates) -> Frame:
    size = len(world["number"])
    chinese = world["country"] == 0
    employed = world["employer"] >= 0
    chance = np.stack(
        [
            np.where(chinese, 0.28, 0.72),
            np.where(chinese, 0.55, 0.03),
            np.where(employed, 0.10, 0.62),
        ],
        axis=1,
    )
    member = rng.random((size, 3)) < chance
    nowhere = ~member.any(axis=1)
    member[nowhere & chinese, FXIAOKE] = True
    member[nowhere & ~chinese, SALESFORCE] = True
    entity, system = np.nonzero(member)
    first = np.arange(len(entity))
    again = np.flatnonzero(rng.random(len(entity)) < np.where(system == SAP, rates.duplicates / 2, rates.duplicates))
    return {
        "entity": np.concatenate([entity, entity[again]]),
        "system": np.concatenate([system, system[again]]),
        "first_row": np.concatenate([first, again]),
        "is_second": np.arange(len(entity) + len(again)) >= len(entity),
    }


def _choose_objects(rng: np.random.Generator, world: Frame, records: Frame) -> None:
    person = world["is_person"][records["entity"]]
    system = records["system"]
    lead = rng.random(len(person)) < 0.22
    second = records["is_second"]
    converted = second & person & (system == SALESFORCE) & (rng.random(len(person)) < 0.4)
    lead[converted] = False
    lead[records["first_row"][converted]] = True
    records["converted"] = np.zeros(len(person), bool)
    records["converted"][records["first_row"][converted]] = True
    records["object"] = np.select(
        [system == SAP, ~person & (system == SALESFORCE), ~person, system == SALESFORCE],
        [KNA1, ACCOUNT, FX_ACCOUNT, np.where(lead, LEAD, CONTACT)],
        np.where(lead, FX_LEAD, FX_CONTACT),
    )
    records["is_person"] = person
    records["contact_row"] = np.full(len(person), -1)
    records["contact_row"][records["first_row"][converted]] = np.flatnonzero(converted)


def _stamp(rng: np.random.Generator, world: Frame, records: Frame, today: np.datetime64) -> None:
    start = world["start"][records["entity"]]
    size = len(start)
    early = rng.integers(0, 90, size) * (records["system"] != SAP)
    created = start - early.astype("timedelta64[D]")
    later = created + rng.integers(20, 700, size).astype("timedelta64[D]")
    created = np.where(records["is_second"], np.minimum(later, today - np.timedelta64(3, "D")), created)
    records["created_at"] = moments_between(rng, created, created)
    gap = rng.exponential(200, size).astype("timedelta64[D]")
    records["modified_at"] = moments_between(rng, created, np.minimum(created + gap, today))
    records["modified_at"] = np.maximum(records["modified_at"], records["created_at"])
    owner = (world["country"][records["entity"]] != 0) * 6 + rng.integers(0, 6, size)
    records["owner"] = OWNERS[owner]
    records["created_by"] = np.where(rng.random(size) < 0.7, records["owner"], pick(rng, OWNERS, size))


def source_ids(records: Frame, sequences: Sequences) -> Text:
    """New ids for records, in the form of their object."""
    ids = blank(len(records["object"]))
    for number, prefix in ((ACCOUNT, "001"), (CONTACT, "003"), (LEAD, "00Q")):
        at = np.flatnonzero(records["object"] == number)
        ids[at] = identifiers.salesforce_ids(prefix, sequences.take(prefix, len(at)))
    for number, machine in ((FX_ACCOUNT, 0x7A3E0001), (FX_CONTACT, 0x7A3E0002), (FX_LEAD, 0x7A3E0003)):
        at = np.flatnonzero(records["object"] == number)
        ids[at] = identifiers.mongo_ids(records["created_at"][at], sequences.take(str(machine), len(at)), machine)
    for person, base in ((True, 2_000_000), (False, 100_000)):
        at = np.flatnonzero((records["object"] == KNA1) & (records["is_person"] == person))
        # Two ranges that never meet, whatever the size: persons have even, organisations odd numbers.
        numbers = base * 2 + sequences.take(f"kunnr{person}", len(at)) * 2 + (0 if person else 1)
        ids[at] = digits(numbers, 10)
    return ids


def _in_latin_letters(rng: np.random.Generator, world: Frame, records: Frame, rates: DirtRates) -> Mask:
    abroad = world["country"][records["entity"]] != 0
    pinyin = (records["system"] != FXIAOKE) & (rng.random(len(abroad)) < rates.pinyin)
    return abroad | pinyin


def _name(world: Frame, records: Frame) -> None:
    entity, latin = records["entity"], records["latin"]
    records["given_name"] = np.where(latin, world["given"][entity], world["given_hanzi"][entity])
    records["family_name"] = np.where(latin, world["family"][entity], world["family_hanzi"][entity])
    employer = world["employer"][entity]
    named = np.where(records["is_person"], employer, entity)
    company = np.where(latin, world["company_latin"][named], world["company"][named])
    records["company_name"] = choose(named < 0, None, company)
    records["full_name"] = full_names(records)


def full_names(records: Frame) -> Text:
    """Family and given name in the order of their script; nothing for organisations."""
    person = np.flatnonzero(records["is_person"])
    given, family = records["given_name"][person], records["family_name"][person]
    names = blank(len(records["is_person"]))
    names[person] = np.where(records["latin"][person], given + " " + family, family + given)
    return names


def streets_of(world: Frame, entity: Array, latin: Mask, prefix: str = "") -> Text:
    """Street lines of customers, as written in their country; `prefix` "old_" for the address before."""
    written = blank(len(entity))
    house = digits(world[f"{prefix}house"][entity])
    unit = choose(world["unit"][entity] == 0, None, digits(world["unit"][entity]))
    unit = blank(len(entity)) if prefix else unit
    for number, country in enumerate(COUNTRIES):
        local, roman = streets(country)
        here = world["country"][entity] == number
        for script in (False, True):
            at = np.flatnonzero(here & (latin == script))
            street = (roman if script else local)[world[f"{prefix}street"][entity[at]]]
            written[at] = _street_lines(country, script, street, house[at], unit[at])
    return written


def _street_lines(country: str, latin: bool, street: Text, house: Text, unit: Text) -> Text:
    def tail(before: str, after: str) -> Text:
        part = join([before, unit, after])
        return np.where(is_missing(part), "", part)

    match country:
        case "CN" if latin:
            line = "No. " + house + " " + street + tail(", Room ", "")
        case "CN":
            line = street + house + "号" + tail("", "室")
        case "US":
            line = house + " " + street + tail(" Apt ", "")
        case "GB" | "FR":
            line = house + " " + street
        case "ES":
            line = street + ", " + house
        case "JP":
            line = house + "-" + digits(house.astype(np.int64) % 17 + 1) + " " + street
        case _:
            line = street + " " + house
    return line


def _addresses(rng: np.random.Generator, world: Frame, records: Frame) -> None:
    entity = records["entity"]
    # At work people are reached at their employer's address, in the ERP at home.
    at_work = (world["employer"][entity] >= 0) & (records["system"] != SAP)
    records["address_of"] = place = np.where(at_work, world["employer"][entity], entity)
    latin = records["latin"]
    records["street"] = streets_of(world, place, latin)
    records["postal_code"] = world["postal"][place]
    country = world["country"][place]
    records["city"], records["region"] = blank(len(entity)), blank(len(entity))
    records["country"] = blank(len(entity))
    for number, name in enumerate(COUNTRIES):
        listed = cities(name)
        at = np.flatnonzero(country == number)
        city, roman = world["city"][place[at]], latin[at]
        records["city"][at] = np.where(roman, listed.name_latin[city], listed.name_local[city])
        records["region"][at] = np.where(roman, listed.region_latin[city], listed.region_local[city])
        spellings = words("places")[name]["name"]
        foreign = pick(rng, spellings[1:], len(at), 1.5)
        records["country"][at] = np.where(records["system"][at] == FXIAOKE, spellings[0], foreign)
    sap = records["object"] == KNA1
    records["country"][sap] = text(list(COUNTRIES))[country[sap]]
    records["country_index"] = country


def phone_text(rng: np.random.Generator, country: Array, national: Text, international: Mask) -> Text:
    """Phone numbers in the styles people type; `national` has a blank between prefix and rest."""
    style = rng.integers(0, 3, len(national))
    parts = [number.partition(" ") for number in national.tolist()]
    prefix, rest = text([part[0] for part in parts]), text([part[2] for part in parts])
    between = text([" ", "-", ""])[style]
    code = text(["+", "+", "00"])[style] + DIAL_CODE[country] + " "
    mobile = np.array([part[0][:1] == "1" and len(part[0]) == 3 for part in parts], dtype=bool) & (country == 0)
    trunk = np.where(mobile, "", TRUNK[country])
    home_style = np.where(mobile & (between == "-"), "", between)
    return np.where(international, code + prefix + " " + rest, trunk + prefix + home_style + rest)


def _reach(rng: np.random.Generator, world: Frame, records: Frame, rates: DirtRates) -> None:
    entity, person = records["entity"], records["is_person"]
    size = len(entity)
    country = world["country"][entity]
    abroad_here = (country != 0) | (rng.random(size) < 0.3) & (records["system"] == SALESFORCE)
    records["international"] = abroad_here
    employed = world["employer"][entity] >= 0
    private = employed & (records["system"] == FXIAOKE) & (rng.random(size) < 0.3)
    records["email"] = np.where(private, world["email_private"][entity], world["email"][entity])
    records["mobile"] = blank(size)
    records["mobile"][person] = phone_text(rng, country[person], world["mobile"][entity[person]], abroad_here[person])
    switchboard = person & employed & (rng.random(size) < rates.shared_phone)
    # People who share a home share its landline: most keep it out of the CRM.
    landline = ~person | switchboard | (person & ~employed & (rng.random(size) < 0.35))
    of = np.where(switchboard, world["employer"][entity], entity)
    records["phone"] = blank(size)
    records["phone"][landline] = phone_text(
        rng, world["country"][of[landline]], world["landline"][of[landline]], abroad_here[landline]
    )
    records["website"] = world["website"][entity]
    for name in ("email", "mobile", "website", "postal_code"):
        records[name] = choose(has_field(records["object"], name), records[name], None)
    gone = rng.random(size) < rates.missing_email
    records["email"][gone] = None
    # A person needs a mail address or a mobile number to be told by; the ERP has no mail addresses.
    in_erp = np.isin(entity, entity[records["system"] == SAP])
    spared = in_erp | is_missing(records["email"])
    records["mobile"][person & ~spared & (rng.random(size) < 0.2)] = None


def _numbers(rng: np.random.Generator, world: Frame, records: Frame, rates: DirtRates) -> None:
    entity, objects = records["entity"], records["object"]
    size = len(entity)
    records["birth"] = world["birth"][entity].copy()
    records["birth"][~has_field(objects, "birth_date") | (rng.random(size) < rates.missing_birth_date)] = np.datetime64(
        "NaT", "D"
    )
    given_id = has_field(objects, "national_id") & (rng.random(size) < 0.3)
    records["national_id"] = choose(given_id, world["national_id"][entity], None)
    with_tax = has_field(objects, "tax_id") & ~records["is_person"] & (rng.random(size) >= rates.missing_tax_id)
    records["tax_id"] = choose(with_tax, world["tax_id"][entity], None)
    known = has_field(objects, "gender") & (rng.random(size) < 0.7)
    records["gender"] = choose(known, world["gender"][entity], None)
    records["industry"] = choose(rng.random(size) < 0.85, world["industry"][entity], None)
    title = words("companies")["job_titles"]
    at = pick_index(rng, len(title["latin"]), size, 0.5)
    job = np.where(records["latin"], text(title["latin"])[at], text(title["zh"])[at])
    records["job_title"] = choose(world["employer"][entity] >= 0, job, None)


def _links(rng: np.random.Generator, world: Frame, records: Frame, rates: DirtRates) -> None:
    """Parents, conversions and merges: the ids by which records of one system point at each other."""
    size = len(records["entity"])
    entity, objects, ids = records["entity"], records["object"], records["source_id"]
    records["parent_source_id"] = blank(size)
    boss = np.where(records["is_person"], world["employer"][entity], world["parent"][entity])
    for account, below in ((ACCOUNT, (ACCOUNT, CONTACT)), (FX_ACCOUNT, (FX_ACCOUNT, FX_CONTACT))):
        id_of = _first_id(records, objects == account, len(world["number"]))
        at = np.flatnonzero(np.isin(objects, below) & (boss >= 0))
        records["parent_source_id"][at] = id_of[boss[at]]
    records["account_number"] = choose(objects == KNA1, ids, None)
    kunnr = _first_id(records, objects == KNA1, len(world["number"]))[entity]
    known = np.isin(objects, (ACCOUNT, FX_ACCOUNT)) & (rng.random(size) < 0.35)
    records["account_number"] = np.where(known, kunnr, records["account_number"])
    records["merged_into"] = blank(size)
    converted = records["converted"]
    records["merged_into"][converted] = ids[records["contact_row"][converted]]
    first = records["first_row"]
    merged = records["is_second"] & (objects == objects[first]) & (records["system"] == SALESFORCE)
    merged &= rng.random(size) < rates.merged
    records["master_id"] = choose(merged, ids[first], None)
    records["is_deleted"] = merged | ((rng.random(size) < rates.deleted) & (objects != KNA1))
    records["is_blocked"] = (objects == KNA1) & (rng.random(size) < rates.deleted)
    records["is_one_time"] = np.zeros(size, bool)
    records["ghost"] = blank(size)
    records["bounced_at"] = np.full(size, np.datetime64("NaT", "s"))


def _first_id(records: Frame, of: Mask, entities: int) -> Text:
    """The id of the first record of some object for every entity; nothing where there is none."""
    id_of = blank(entities)
    at = np.flatnonzero(of)[::-1]
    id_of[records["entity"][at]] = records["source_id"][at]
    return id_of
