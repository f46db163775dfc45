"""Weights for a company with too few records to learn from. Does not belong here: learning."""

from __future__ import annotations

from collections.abc import Mapping

# Fewer records of a party type than this show too few matches, and too few strangers who agree by chance.
FEW_RECORDS = 200
# Of so few records every fifth, say, is a second one.
MATCHES_PER_RECORD = 0.2

# Bits per comparison and level, by the words of the level: what fits on larger sets came to, without the rarity of
# values, which a small set cannot show, and rounded towards 0.
_SHARED: Mapping[str, Mapping[str, float]] = {
    "address": {
        "same address": 10, "similar address": 8, "partly the same address": 1, "different address": -3,
    },
    "place": {"same postal code": 6, "same city": 3, "similar place": 0, "different place": -3},
    "region": {"same region": 2, "different region": -2},
}  # fmt: skip

TYPICAL_WEIGHTS: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "person": {
        **_SHARED,
        "name": {
            "same name": 11, "same name but for a slip or the order": 10, "name that sounds the same": 9, "same name but for a nickname": 9,
            "similar name": 8, "one character of the name differs": 6, "same family name, similar given name": 6,
            "one name is the same, the other missing": 4, "same given name, other family name": 0.5,
            "same family name, other given name": -0.5, "different name": -4,
        },
        "birth_date": {
            "same birth date": 12, "similar birth date": 4, "partly the same birth date": -1, "different birth date": -4,
        },
        "national_text": {"same national id": 15, "similar national id": 7, "different national id": -4},
        "email": {
            "same e-mail": 14, "same e-mail name": 10, "similar e-mail": 9, "similar e-mail name": 7, "different e-mail": -2,
        },
        "phone": {
            "same mobile": 14, "same phone": 11, "similar phone": 9, "phone that begins the same, cut short": 8,
            "same phone, but different mobile": 8,
            "different phone": -2, "different mobile": -3,
        },
        "gender": {"same gender": 0.9, "different gender": -3},
        "employer": {"same employer": 5, "different employer": -2},
    },
    "organisation": {
        **_SHARED,
        "name": {
            "same company name": 12, "nearly the same company name": 9, "one company name contains the other": 6,
            "same brand in Chinese and in English": 6, "similar company name": 2, "company name that begins the same": 1,
            "partly the same company name": -3, "a word of the company name in common": -4, "different company name": -7,
        },
        "tax_text": {"same tax id": 15, "similar tax id": 9, "different tax id": -8},
        "email": {"same e-mail": 12, "same web domain": 10, "similar e-mail": 5, "different web domain": -5},
        "phone": {"same phone": 12, "similar phone": 6, "different phone": -4},
        "industry": {"same industry": 2, "different industry": -2},
    },
}  # fmt: skip
