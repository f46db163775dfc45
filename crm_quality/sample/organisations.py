"""The real organisations of a chunk. Belongs here: names, numbers, groups. Does not: records about them."""

from functools import lru_cache

import numpy as np

from crm_quality.sample import identifiers
from crm_quality.sample.columns import Array, Frame, blank, is_missing, join, pick, pick_index, text
from crm_quality.sample.vocabulary import COUNTRIES, cities, hash_of, latin_names, signs, words

_LANGUAGE = {"CN": 1, "US": 2, "GB": 2, "DE": 3, "FR": 4, "ES": 5, "JP": 6}
_DOMAIN_END = {
    "CN": ".com.cn",
    "US": ".com",
    "GB": ".co.uk",
    "DE": ".de",
    "FR": ".fr",
    "ES": ".es",
    "JP": ".co.jp",
}
_PLAIN = str.maketrans("äöüßéèêëáàâíìîóòôúùûñçî", "aouseeeeaaaiiiooouuunci")
_BRANCH_WORDS = ("分公司", " Branch")


@lru_cache(maxsize=1 << 16)
def plain(name: str) -> str:
    """A name as it stands in a mail address: lower case, no accents, letters and digits only."""
    return "".join(c for c in name.lower().translate(_PLAIN) if c.isascii() and c.isalnum())


def name_organisations(rng: np.random.Generator, world: Frame, subsidiaries: float) -> list[tuple[Array, Array, str]]:
    """Fill in the names of all organisations; returns the relations of parents and subsidiaries."""
    organisations = np.flatnonzero(~world["is_person"])
    world["industry_index"][organisations] = pick_index(
        rng, len(words("companies")["industry"]), len(organisations), 0.3
    )
    for number, country in enumerate(COUNTRIES):
        at = organisations[world["country"][organisations] == number]
        _coin_brands(rng, world, at, country)
    children, parents = _found_groups(rng, world, organisations, subsidiaries)
    for number, country in enumerate(COUNTRIES):
        at = organisations[world["country"][organisations] == number]
        if len(at):
            _compose(rng, world, at, country)
    _name_branches(world, children, parents)
    _number_organisations(rng, world, organisations)
    return [(children, parents, "same_group")]


def _coin_brands(rng: np.random.Generator, world: Frame, at: Array, country: str) -> None:
    if country == "CN":
        first, second = signs("brand_first"), signs("brand_second")
        a, b = (
            pick_index(rng, len(first.hanzi), len(at), 0.4),
            pick_index(rng, len(second.hanzi), len(at), 0.4),
        )
        b = np.where(first.hanzi[a] == second.hanzi[b], (b + 1) % len(second.hanzi), b)
        world["brand_hanzi"][at] = first.hanzi[a] + second.hanzi[b]
        world["brand"][at] = text([name.capitalize() for name in (first.pinyin[a] + second.pinyin[b]).tolist()])
        return
    vocabulary = words("companies")
    coined = pick(rng, vocabulary["coined_first"].split(), len(at)) + pick(
        rng, vocabulary["coined_second"].split(), len(at)
    )
    family = pick(rng, latin_names(words("places")[country]["culture"], "family"), len(at), 0.6)
    world["brand"][at] = np.where(rng.random(len(at)) < 0.45, family, coined)


def _found_groups(rng: np.random.Generator, world: Frame, organisations: Array, share: float) -> tuple[Array, Array]:
    """Make some organisations children of others: a branch at home, or a company of its own abroad."""
    count = int(len(organisations) * share)
    if len(organisations) < 4 or not count:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    shuffled = rng.permutation(organisations)
    children = shuffled[:count]
    parents = rng.choice(shuffled[count:], count)
    abroad = rng.random(count) < 0.45
    world["country"][children] = np.where(abroad, world["country"][children], world["country"][parents])
    for column in ("brand", "industry_index"):
        world[column][children] = world[column][parents]
    same = world["country"][children] == world["country"][parents]
    world["brand_hanzi"][children] = world["brand_hanzi"][parents]
    foreign_in_china = is_missing(world["brand_hanzi"][children]) & (world["country"][children] == 0)
    at = children[foreign_in_china]
    local = signs("brand_first")
    index = np.array([hash_of(brand) % len(local.hanzi) for brand in world["brand"][at].tolist()], dtype=np.int64)
    world["brand_hanzi"][at] = (
        local.hanzi[index] + signs("brand_second").hanzi[index % len(signs("brand_second").hanzi)]
    )
    world["parent"][children] = parents
    world["is_branch"][children[same]] = True
    for number, country in enumerate(COUNTRIES):
        chosen = children[world["country"][children] == number]
        size = len(cities(country).name_latin)
        parent_city = np.where(
            world["country"][world["parent"][chosen]] == number, world["city"][world["parent"][chosen]], 0
        )
        world["city"][chosen] = (parent_city + rng.integers(1, size, len(chosen))) % size
    return children, parents


def _compose(rng: np.random.Generator, world: Frame, at: Array, country: str) -> None:
    table = words("companies")["industry"]
    industry = world["industry_index"][at]
    word = text([row[_LANGUAGE[country]] for row in table])[industry]
    form = pick(rng, words("companies")["legal_forms"][country], len(at))
    brand = world["brand"][at]
    place = cities(country)
    world["industry"][at] = text([row[0] for row in table])[industry]
    if country == "CN":
        hanzi = world["brand_hanzi"][at]
        city = text([name.removesuffix("市") for name in place.name_local.tolist()])[world["city"][at]]
        city = np.where(rng.random(len(at)) < 0.8, city, "")
        english = text([row[2] for row in table])[industry]
        world["company"][at] = city + hanzi + word + form
        world["company_short"][at] = hanzi + word
        latin_city = np.where(city == "", "", place.name_latin[world["city"][at]] + " ")
        world["company_latin"][at] = latin_city + brand + " " + english + " Co., Ltd."
        base = brand + text([plain(row[2])[:4] for row in table])[industry]
        base = base + text([plain(name)[:2] for name in place.name_latin.tolist()])[world["city"][at]]
    else:
        world["company"][at] = brand + " " + word + " " + form
        world["company_short"][at] = brand + " " + word
        world["company_latin"][at] = world["company"][at]
        base = brand + "-" + text([plain(row[_LANGUAGE[country]])[:8] for row in table])[industry]
    names = ["-".join(plain(part) for part in name.split("-")) for name in base.tolist()]
    world["domain"][at] = text(names) + _DOMAIN_END[country]


def _name_branches(world: Frame, children: Array, parents: Array) -> None:
    """A branch carries its parent's full name, its city and the word for branch; it shares the web domain."""
    branch = world["is_branch"][children]
    at, parent = children[branch], parents[branch]
    for number, country in enumerate(COUNTRIES):
        chosen = world["country"][at] == number
        here, above = at[chosen], parent[chosen]
        city_local = cities(country).name_local[world["city"][here]]
        city_latin = cities(country).name_latin[world["city"][here]]
        if country == "CN":
            city_local = text([name.removesuffix("市") for name in city_local.tolist()])
            world["company"][here] = world["company"][above] + city_local + _BRANCH_WORDS[0]
            world["company_short"][here] = world["company_short"][above] + city_local + _BRANCH_WORDS[0]
        else:
            world["company"][here] = world["company"][above] + " " + city_local + _BRANCH_WORDS[1]
            world["company_short"][here] = world["company_short"][above] + " " + city_local
        world["company_latin"][here] = world["company_latin"][above] + " " + city_latin + _BRANCH_WORDS[1]
        world["domain"][here] = world["domain"][above]


def _number_organisations(rng: np.random.Generator, world: Frame, organisations: Array) -> None:
    makers = {
        "US": identifiers.american_ein,
        "GB": identifiers.british_vat,
        "DE": identifiers.german_vat,
        "FR": identifiers.french_vat,
        "ES": identifiers.spanish_vat,
        "JP": identifiers.japanese_corporate,
    }
    for number, country in enumerate(COUNTRIES):
        at = organisations[world["country"][organisations] == number]
        if not len(at):
            continue
        # A stride coprime to the range scatters the numbers and keeps them different.
        sequence = (world["number"][at] * 7_368_787 + 1_299_709) % 10**8
        if country == "CN":
            area = cities("CN").resident_area[world["city"][at]]
            world["tax_id"][at] = identifiers.credit_codes(area, sequence)
        else:
            world["tax_id"][at] = makers[country](sequence)
    world["website"][organisations] = join(["www.", world["domain"][organisations]])
    box = pick(rng, ("info", "office", "contact", "sales", "service"), len(organisations))
    # A branch has a mailbox of its own at the parent's domain.
    branch = world["is_branch"][organisations]
    place = text([plain(c) for country in COUNTRIES for c in cities(country).name_latin.tolist()])
    offset = np.cumsum([0] + [len(cities(country).name_latin) for country in COUNTRIES])[:-1]
    city = place[offset[world["country"][organisations]] + world["city"][organisations]]
    box = np.where(branch, box + "." + city, box)
    world["email"][organisations] = box + "@" + world["domain"][organisations]
    world["birth"][organisations] = np.datetime64("NaT", "D")
    world["gender"][organisations] = blank(len(organisations))
