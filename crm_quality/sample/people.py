"""The real people of a chunk: names, families, namesakes, work. Not here: records about them."""

import numpy as np

from crm_quality.sample import identifiers
from crm_quality.sample.columns import Array, Frame, day_text, digits, is_missing, pick, pick_index, text
from crm_quality.sample.organisations import plain
from crm_quality.sample.vocabulary import COUNTRIES, cities, latin_names, mail_domains, signs, words

Relations = list[tuple[Array, Array, str]]

_YEAR = 365.2425


def name_people(rng: np.random.Generator, world: Frame, today: np.datetime64) -> None:
    """Give every person a sex, a birth date and a name."""
    people = np.flatnonzero(world["is_person"])
    world["gender"][people] = pick(rng, ("male", "female"), len(people))
    age = 19 + rng.beta(2.0, 3.0, len(people)) * 62
    world["birth"][people] = today - (age * _YEAR).astype("timedelta64[D]")
    for number, country in enumerate(COUNTRIES):
        at = people[world["country"][people] == number]
        if country == "CN":
            _chinese_names(rng, world, at)
        elif len(at):
            _latin_names(rng, world, at, words("places")[country]["culture"])


def _chinese_names(rng: np.random.Generator, world: Frame, at: Array) -> None:
    family = signs("family")
    chosen = pick_index(rng, len(family.hanzi), len(at), 0.85)
    world["family_hanzi"][at] = family.hanzi[chosen]
    world["family"][at] = text([name.capitalize() for name in family.pinyin.tolist()])[chosen]
    hanzi, pinyin = _given_signs(rng, world["gender"][at])
    second_hanzi, second_pinyin = _given_signs(rng, world["gender"][at])
    two = (rng.random(len(at)) < 0.82) & (hanzi != second_hanzi)
    world["given_hanzi"][at] = hanzi + np.where(two, second_hanzi, "")
    latin = pinyin + np.where(two, second_pinyin, "")
    world["given"][at] = text([name.capitalize() for name in latin.tolist()])


def _given_signs(rng: np.random.Generator, gender: Array) -> tuple[Array, Array]:
    hanzi, pinyin = np.empty(len(gender), object), np.empty(len(gender), object)
    for sex in ("male", "female"):
        at = np.flatnonzero(gender == sex)
        own, shared = signs(f"given_{sex}"), signs("given_neutral")
        table = np.concatenate([own.hanzi, shared.hanzi]), np.concatenate([own.pinyin, shared.pinyin])
        chosen = pick_index(rng, len(table[0]), len(at), 0.55)
        hanzi[at], pinyin[at] = table[0][chosen], table[1][chosen]
    return hanzi, pinyin


def _latin_names(rng: np.random.Generator, world: Frame, at: Array, culture: str) -> None:
    for sex in ("male", "female"):
        chosen = at[world["gender"][at] == sex]
        world["given"][chosen] = pick(rng, latin_names(culture, sex), len(chosen), 0.6)
    family = pick(rng, latin_names(culture, "family"), len(at), 0.75)
    if culture == "es":
        family = family + " " + pick(rng, latin_names(culture, "family"), len(at), 0.75)
    world["family"][at] = family


def settle_households(rng: np.random.Generator, world: Frame, share: float) -> Relations:
    """Let some consumers live together: couples, and fathers with sons, at one address with one landline."""
    relations: Relations = []
    for number in range(len(COUNTRIES)):
        at = np.flatnonzero(world["is_person"] & (world["employer"] < 0) & (world["country"] == number))
        pairs = int(len(at) * share / 2)
        chosen = rng.permutation(at)[: pairs * 2].reshape(2, pairs)
        first, second = chosen
        couple = rng.random(pairs) < 0.55
        _marry(rng, world, first[couple], second[couple])
        _make_son(rng, world, first[~couple], second[~couple])
        for column in ("city", "street", "house", "unit", "postal", "landline", "old_street", "old_house"):
            world[column][second] = world[column][first]
        world["in_household"][chosen.ravel()] = True
        relations.append((first, second, "same_household"))
    return relations


def _marry(rng: np.random.Generator, world: Frame, first: Array, second: Array) -> None:
    # The wife or husband keeps a given name that fits: only the family name and the age are made to match.
    world["birth"][second] = world["birth"][first] + rng.integers(-2200, 2200, len(first)).astype("timedelta64[D]")
    latin = is_missing(world["family_hanzi"][first])
    world["family"][second[latin]] = world["family"][first[latin]]


def _make_son(rng: np.random.Generator, world: Frame, father: Array, son: Array) -> None:
    old_enough = world["birth"][father] - rng.integers(0, 3000, len(father)).astype("timedelta64[D]")
    limit = np.datetime64("1978-01-01", "D")
    world["birth"][father] = np.where(
        world["birth"][father] > limit, limit - (world["birth"][father] - limit) // 2, old_enough
    )
    world["birth"][son] = world["birth"][father] + rng.integers(8_000, 12_500, len(son)).astype("timedelta64[D]")
    for person in (father, son):
        wrong = person[world["gender"][person] != "male"]
        donor = (
            np.flatnonzero((world["gender"] == "male") & (world["country"] == world["country"][person[0]]))
            if len(wrong)
            else wrong
        )
        if len(donor):
            source = rng.choice(donor, len(wrong))
            for column in ("given", "given_hanzi"):
                world[column][wrong] = world[column][source]
            world["gender"][wrong] = "male"
    world["family"][son], world["family_hanzi"][son] = world["family"][father], world["family_hanzi"][father]
    junior = (rng.random(len(son)) < 0.35) & is_missing(world["family_hanzi"][son])
    world["given"][son[junior]] = world["given"][father[junior]]


def name_namesakes(rng: np.random.Generator, world: Frame, share: float) -> Relations:
    """Give some people the full name of another person: the same name, another life."""
    relations: Relations = []
    for number in range(len(COUNTRIES)):
        at = np.flatnonzero(world["is_person"] & ~world["in_household"] & (world["country"] == number))
        count = int(len(at) * share)
        shuffled = rng.permutation(at)
        copy, model = shuffled[:count], shuffled[count : 2 * count]
        for column in ("family", "family_hanzi", "given", "given_hanzi", "gender"):
            world[column][copy] = world[column][model]
        neighbour = rng.random(count) < 0.4
        world["city"][copy[neighbour]] = world["city"][model[neighbour]]
        close = np.abs((world["birth"][copy] - world["birth"][model]).astype(np.int64)) < 400
        world["birth"][copy[close]] -= np.timedelta64(1500, "D")
        relations.append((copy, model, "namesake"))
    return relations


def employ(rng: np.random.Generator, world: Frame, share: float) -> None:
    """Give some people a job at an organisation of their country."""
    for number in range(len(COUNTRIES)):
        here = world["country"] == number
        firms = np.flatnonzero(~world["is_person"] & here)
        people = np.flatnonzero(world["is_person"] & here)
        if len(firms):
            working = people[rng.random(len(people)) < share]
            world["employer"][working] = rng.choice(firms, len(working))


def number_people(rng: np.random.Generator, world: Frame) -> None:
    """Resident identity numbers and mail addresses."""
    people = np.flatnonzero(world["is_person"])
    chinese = people[world["country"][people] == 0]
    # The last digit of the sequence is odd for a man (GB 11643).
    sequence = rng.integers(1, 499, len(chinese)) * 2 + (world["gender"][chinese] == "male")
    area = cities("CN").resident_area[pick_index(rng, len(cities("CN").resident_area), len(chinese), 0.3)]
    world["national_id"][chinese] = identifiers.resident_ids(
        area, day_text(world["birth"][chinese], "%Y%m%d"), sequence % 1000
    )
    given = text([plain(name) for name in world["given"][people].tolist()])
    family = text([plain(name) for name in world["family"][people].tolist()])
    world["email_private"][people] = _private_mail(rng, world, people, given, family)
    world["email"][people] = world["email_private"][people]
    working = np.flatnonzero(world["employer"][people] >= 0)
    domain = world["domain"][world["employer"][people[working]]]
    world["email"][people[working]] = given[working] + "." + family[working] + "@" + domain


def _private_mail(rng: np.random.Generator, world: Frame, people: Array, given: Array, family: Array) -> Array:
    number = digits((world["number"][people] * 7919 + 13) % 10_000)
    style = rng.integers(0, 4, len(people))
    initial = text([name[:1] for name in given.tolist()])
    year = digits(world["birth"][people].astype("datetime64[Y]").astype(np.int64) % 100, 2)
    local = np.select(
        [style == 0, style == 1, style == 2],
        [given + "." + family + number, family + initial + year + number, given + "_" + number],
        family + given + number,
    )
    domain = np.empty(len(people), object)
    for index, country in enumerate(COUNTRIES):
        at = np.flatnonzero(world["country"][people] == index)
        domain[at] = pick(rng, mail_domains(country), len(at), 0.7)
    # At qq.com the mail address of most people is their account number.
    account = digits(100_000_000 + (world["number"][people] * 6_700_417 + 101) % 1_900_000_000)
    local = np.where(domain == "qq.com", account, local)
    return local + "@" + domain
