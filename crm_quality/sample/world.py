"""The real customers of a chunk, before any system recorded them. Does not belong here: records."""

# mypy: disable-error-code="no-any-return"
# (numpy types what is computed from text columns as Any.)

from dataclasses import dataclass

import numpy as np

from crm_quality.sample.columns import Array, Frame, Text, blank, digits, pick, pick_index, text
from crm_quality.sample.context import Context
from crm_quality.sample.organisations import name_organisations
from crm_quality.sample.people import (
    Relations,
    employ,
    name_namesakes,
    name_people,
    number_people,
    settle_households,
)
from crm_quality.sample.vocabulary import COUNTRIES, COUNTRY_SHARES, cities, streets

PERSON_SHARE = 0.7
EMPLOYED_SHARE = 0.4

_TEXT = (
    "brand brand_hanzi company company_latin company_short domain industry website tax_id national_id "
    "family family_hanzi given given_hanzi gender email email_private mobile old_mobile landline postal "
)
_NUMBERS = "city street house unit old_street old_house industry_index"
_MOBILE = {
    "CN": (
        "130 131 132 133 134 135 136 137 138 139 150 151 152 155 156 157 "
        "158 159 176 177 178 180 181 182 183 185 186 187 188 189 198 199",
        8,
    ),
    "US": ("212 213 312 713 602 215 619 214 206 617 313 303 404 415 646 347", 7),
    "GB": ("7400 7411 7427 7455 7480 7500 7533 7590 7711 7720 7803 7891 7912 7946 7973 7985", 6),
    "DE": ("151 152 157 159 160 162 170 171 172 173 174 175 176 177 178 179", 8),
    "FR": ("61 62 64 65 66 67 68 75 76 77 78", 7),
    "ES": ("60 61 62 63 64 65 66 67 68 69", 7),
    "JP": ("90 80 70", 8),
}


@dataclass(frozen=True)
class Chunk:
    """The real customers of one chunk, and which of them are related how (pairs of rows)."""

    customers: Frame
    relations: Relations


def build_chunk(context: Context, first: int, size: int) -> Chunk:
    """Invent `size` customers, numbered from `first`."""
    rng, today, rates = context.rng, context.today, context.rates
    world: Frame = {name: blank(size) for name in _TEXT.split()} | {
        name: np.zeros(size, np.int64) for name in _NUMBERS.split()
    }
    world["number"] = np.arange(first, first + size)
    world["is_person"] = rng.random(size) < PERSON_SHARE
    world["country"] = np.searchsorted(np.cumsum(COUNTRY_SHARES)[:-1], rng.random(size), side="right")
    world["birth"] = np.full(size, np.datetime64("NaT", "D"))
    world["employer"], world["parent"] = np.full(size, -1), np.full(size, -1)
    world["is_branch"], world["in_household"] = np.zeros(size, bool), np.zeros(size, bool)
    _settle(rng, world)
    relations = name_organisations(rng, world, rates.subsidiaries)
    _give_addresses(rng, world)
    name_people(rng, world, today)
    employ(rng, world, EMPLOYED_SHARE)
    relations += settle_households(rng, world, rates.households)
    relations += name_namesakes(rng, world, rates.namesakes)
    number_people(rng, world)
    world["start"] = _first_contact(rng, size, today)
    return Chunk(world, relations)


def _first_contact(rng: np.random.Generator, size: int, today: np.datetime64) -> Array:
    """The day a customer came; the company has grown since 2018, so more came lately."""
    range_days = int((today - np.datetime64("2018-01-01", "D")).astype(np.int64))
    return today - np.timedelta64(20, "D") - (range_days * rng.random(size) ** 1.3 * 0.98).astype("timedelta64[D]")


def _settle(rng: np.random.Generator, world: Frame) -> None:
    for number, country in enumerate(COUNTRIES):
        at = np.flatnonzero(world["country"] == number)
        world["city"][at] = pick_index(rng, len(cities(country).name_latin), len(at), 0.7)


def _give_addresses(rng: np.random.Generator, world: Frame) -> None:
    size = len(world["number"])
    world["house"], world["old_house"] = 1 + rng.geometric(0.012, size), 1 + rng.geometric(0.012, size)
    world["unit"] = np.where(rng.random(size) < 0.6, rng.integers(101, 2800, size), 0)
    for number, country in enumerate(COUNTRIES):
        at = np.flatnonzero(world["country"] == number)
        for column in ("street", "old_street"):
            world[column][at] = pick_index(rng, len(streets(country)[0]), len(at), 0.3)
        pattern = cities(country).postal[world["city"][at]]
        if country == "CN":
            world["postal"][at] = pattern + digits(rng.integers(0, 60, len(at)), 2)
        else:
            world["postal"][at] = text([_postal(rng, form) for form in pattern.tolist()])
        world["landline"][at] = _landlines(rng, world, at, country)
        world["mobile"][at], world["old_mobile"][at] = (
            _mobiles(rng, country, len(at)),
            _mobiles(rng, country, len(at)),
        )


def _postal(rng: np.random.Generator, form: str) -> str:
    number = int(rng.integers(0, 10**6))
    written = []
    for sign in form:
        if sign in "#@":
            number, digit = divmod(number, 10)
            written.append(str(digit) if sign == "#" else "ABDEFGHJLN"[digit])
        else:
            written.append(sign)
    return "".join(written)


def _landlines(rng: np.random.Generator, world: Frame, at: Array, country: str) -> Text:
    """Area code and subscriber number, separated by a blank, without trunk zero."""
    place = cities(country)
    width = place.dial_digits[world["city"][at]].astype(np.int64)
    # Which first digits are in use differs by country; these are in use in all cities listed.
    lead = rng.integers(2, 4 if country in ("GB", "JP") else 8, len(at))
    lead = np.where((width == 8) & (country == "GB"), 7, lead)
    subscriber = lead * 10 ** (width - 1) + (rng.random(len(at)) * 10 ** (width - 1)).astype(np.int64)
    if country == "FR":
        subscriber = 40_000_000 + rng.integers(0, 10**7, len(at))
    return place.dial[world["city"][at]] + " " + digits(subscriber)


def _mobiles(rng: np.random.Generator, country: str, size: int) -> Text:
    """Mobile numbers as dialled nationally, prefix and rest separated by a blank, without trunk zero."""
    prefixes, width = _MOBILE[country]
    # In China all subscriber numbers are in use, abroad those from 2 on.
    low = 0 if country == "CN" else 2 * 10 ** (width - 1)
    return pick(rng, prefixes.split(), size) + " " + digits(rng.integers(low, 10**width, size), width)
