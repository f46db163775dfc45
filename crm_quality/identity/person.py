"""How two person records are compared. Does not belong here: anything learnt from data."""

from __future__ import annotations

from crm_quality.identity.roles import (
    ADDRESS,
    EMAIL,
    PHONES,
    PLACE,
    SIMILAR_PHONE,
    WHOLE_NUMBER,
    Evidence,
    Key,
    Kind,
    Level,
    identifier,
    plain,
)

# Of the pairs of a household, so many are twins: 31 of 1,000 births are (Osterman et al. 2023), and of four people at home
# one pair in six are brother and sister.
TWINS = 0.003
# A mobile number is one person's; a landline is a household's or an office's.
_SAME_MOBILE = "(phone_1_l = phone_1_r or phone_1_l = phone_2_r or phone_2_l = phone_1_r)"
# A number that is not valid is cut off or mistyped: it may resemble another of its kind, but it contradicts none.
_NO_WHOLE_NUMBERS = " and ".join(
    f"not ({WHOLE_NUMBER.format(f'{phone}_l')} and {WHOLE_NUMBER.format(f'{phone}_r')})" for phone in PHONES
)
CUT_SHORT = "phone that begins the same, cut short"


def _cut_short(a: str, b: str) -> str:
    """13477 or 0013477 is what is left of +13477362954, whose country code has up to three digits."""
    return (
        f"(not starts_with({a}, '+') and starts_with({b}, '+') and length(ltrim({a}, '0')) >= 5"
        f" and contains(left({b}, 9), ltrim({a}, '0')))"
    )


_PERSON_PHONE = Evidence(
    name="phone",
    present="coalesce(phone_1{}, phone_2{}) is not null",
    levels=(
        Level(_SAME_MOBILE, "same mobile"),
        Level("phone_2_l = phone_2_r and (phone_1_l is null or phone_1_r is null)", "same phone"),
        Level(f"{SIMILAR_PHONE.sql} and phone_2_l is distinct from phone_2_r", SIMILAR_PHONE.words),
        Level(f"{_cut_short('phone_1_l', 'phone_1_r')} or {_cut_short('phone_1_r', 'phone_1_l')}", CUT_SHORT),
        Level("phone_2_l = phone_2_r", "same phone, but different mobile"),
        Level("phone_1_l is null or phone_1_r is null", "different phone"),
    ),
    different="different mobile",
    incomparable=(
        "(phone_1_l is null or phone_1_r is null) and (phone_2_l is null or phone_2_r is null)"
        f" and not coalesce({_SAME_MOBILE}, false)"
        f" or {_NO_WHOLE_NUMBERS} and not coalesce({SIMILAR_PHONE.sql}, false)"
        f" and not coalesce({_cut_short('phone_1_l', 'phone_1_r')} or {_cut_short('phone_1_r', 'phone_1_l')}, false)"
    ),
)

_BOTH_HANZI = "hanzi_l is not null and hanzi_r is not null"
_WHOLE_NAMES = "given_l is not null and family_l is not null and given_r is not null and family_r is not null"
_SLIP = (
    "(jaro_similarity(name_key_l, name_key_r) >= 0.85 and length(name_key_l) >= 8"
    " and damerau_levenshtein(name_key_l, name_key_r) <= 1)"
)
# shulei gao against shu leigao: the same letters, begun elsewhere.
_ROTATED = "(length(spelt_l) = length(spelt_r) and contains(concat(spelt_l, spelt_l), spelt_r))"
_ONE_CHARACTER = (
    "length(hanzi_l) = 3 and length(hanzi_r) = 3 and (left(hanzi_l, 2) = left(hanzi_r, 2)"
    " or right(hanzi_l, 2) = right(hanzi_r, 2)"
    " or (left(hanzi_l, 1) = left(hanzi_r, 1) and right(hanzi_l, 1) = right(hanzi_r, 1)))"
)
_SIMILAR = "(jaro_winkler_similarity({a}, {b}) >= {limit})"


def _similar(a: str, b: str, limit: float) -> str:
    return _SIMILAR.format(a=a, b=b, limit=limit)


_PERSON_NAME = Evidence(
    name="name",
    present="name_key{} is not null",
    is_name=True,
    kin=(
        "one character of the name differs",
        "same family name, similar given name",
        "same family name, other given name",
    ),
    kin_share=0.5,
    levels=(
        Level(f"hanzi_l = hanzi_r and {_WHOLE_NAMES}", "same name", "hanzi"),
        Level(f"name_key_l = name_key_r and {_WHOLE_NAMES} and not ({_BOTH_HANZI})", "same name", "name_key"),
        Level(
            f"{_WHOLE_NAMES} and (hanzi_sorted_l = hanzi_sorted_r or not ({_BOTH_HANZI}) and ({_SLIP} or {_ROTATED}))",
            "same name but for a slip or the order",
        ),
        Level(f"{_WHOLE_NAMES} and name_key_l = name_key_r", "name that sounds the same"),
        Level(f"{_WHOLE_NAMES} and formal_key_l = formal_key_r", "same name but for a nickname"),
        Level(
            f"{_WHOLE_NAMES} and not ({_BOTH_HANZI}) and ("
            f"({_similar('given_l', 'given_r', 0.88)} and {_similar('family_l', 'family_r', 0.88)})"
            f" or ({_similar('given_l', 'family_r', 0.92)} and {_similar('family_l', 'given_r', 0.92)}))",
            "similar name",
        ),
        Level(f"{_WHOLE_NAMES} and {_ONE_CHARACTER}", "one character of the name differs"),
        Level(
            f"{_WHOLE_NAMES} and not ({_BOTH_HANZI}) and {_similar('family_l', 'family_r', 0.92)}"
            " and left(given_l, 1) = left(given_r, 1)"
            " and (starts_with(given_l, given_r) or starts_with(given_r, given_l)"
            " or jaro_winkler_similarity(given_l, given_r) >= 0.75)",
            "same family name, similar given name",
        ),
        Level(
            "(given_l is null or family_l is null or given_r is null or family_r is null) and ("
            + " or ".join(_similar(a, b, 0.9) for a in ("given_l", "family_l") for b in ("given_r", "family_r"))
            + ")",
            "one name is the same, the other missing",
        ),
        Level(f"{_WHOLE_NAMES} and {_similar('given_l', 'given_r', 0.92)}", "same given name, other family name"),
        Level(
            f"{_WHOLE_NAMES} and {_similar('family_l', 'family_r', 0.92)}",
            "same family name, other given name",
        ),
    ),
    different="different name",
    # Nothing tells how Japanese characters are read.
    incomparable="(hanzi_l is null) <> (hanzi_r is null) and 'JP' in (country_l, country_r) and name_key_l <> name_key_r",
)

_BIRTH_DATE = Evidence(
    name="birth_date",
    present="birth_date{} is not null",
    kin=("same birth date",),
    kin_share=TWINS,
    levels=(
        Level("birth_date_l = birth_date_r", "same birth date", "birth_date"),
        Level(
            "damerau_levenshtein(birth_date_l, birth_date_r) <= 1"
            " or (left(birth_date_l, 4) = left(birth_date_r, 4)"
            " and substr(birth_date_l, 6, 2) = substr(birth_date_r, 9, 2)"
            " and substr(birth_date_l, 9, 2) = substr(birth_date_r, 6, 2))",
            "similar birth date",
        ),
        Level(
            "left(birth_date_l, 7) = left(birth_date_r, 7) or substr(birth_date_l, 6) = substr(birth_date_r, 6)"
            " or levenshtein(birth_date_l, birth_date_r) <= 2",
            "partly the same birth date",
        ),
    ),
    different="different birth date",
)

PERSON = Kind(
    party_type="person",
    feature_table="identity.person_feature",
    evidence=(
        _PERSON_NAME,
        _BIRTH_DATE,
        identifier("national_text", "national_text", "national id"),
        EMAIL,
        _PERSON_PHONE,
        ADDRESS,
        PLACE,
        plain("gender", "gender", rarity=False, is_shared=False),
        plain("employer", "employer"),
    ),
    keys=(
        Key("national id", ("national_text",)),
        Key("e-mail", ("email",)),
        Key("e-mail name", ("email_local",)),
        Key("name", ("formal_key",)),
        Key("characters of the name", ("hanzi_sorted",)),
        Key("address", ("address",)),
        Key("birth date", ("birth_date",)),
        Key("birth date and family name", ("birth_date", "left(family, 2)")),
        Key("birth date and given name", ("birth_date", "left(given, 2)")),
        Key("name and birth year", ("name_key", "left(birth_date, 4)")),
        Key("name and city", ("name_key", "city")),
        Key("name and postal code", ("name_key", "postal_code")),
        Key("family name and postal code", ("family", "postal_code")),
        Key("given name and postal code", ("given", "postal_code")),
        Key("family name and birth year", ("family", "left(birth_date, 4)")),
        Key("given name and birth year", ("given", "left(birth_date, 4)")),
        Key("family name and birthday", ("family", "right(birth_date, 5)")),
        Key("given name and birthday", ("given", "right(birth_date, 5)")),
        Key("names' beginnings", ("left(family, 3)", "left(given, 3)")),
        Key("family name and city", ("family", "city")),
        Key("given name and city", ("given", "city")),
        Key("postal code and birth year", ("postal_code", "left(birth_date, 4)")),
        Key("half of the national id", ("left(national_text, 5)",)),
        Key("address number and postal code", ("address_number", "postal_code")),
        Key("address number and city", ("address_number", "city")),
        Key("beginnings of address and family name", ("left(address, 5)", "left(family, 3)")),
        Key("beginnings of address and given name", ("left(address, 5)", "left(given, 3)")),
        Key("family name", ("family",), is_last_resort=True),
        Key("given name", ("given",), is_last_resort=True),
    ),
    has_name_tokens=False,
    weighed_by=("country", "is_woman"),
    namesakes_share=("name",),
)
