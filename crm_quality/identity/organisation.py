"""How two organisation records are compared. Does not belong here: anything learnt from data."""

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
    any_pair,
    identifier,
    plain,
)


def _has_whole_number(side: str) -> str:
    return "(" + " or ".join(WHOLE_NUMBER.format(f"{phone}_{side}") for phone in PHONES) + ")"


_COMPANY_PHONE = Evidence(
    name="phone",
    present="coalesce(phone_1{}, phone_2{}) is not null",
    is_shared=True,
    levels=(Level(any_pair("{a} = {b}", PHONES, PHONES), "same phone"), SIMILAR_PHONE),
    different="different phone",
    # A number that is not valid is cut off or mistyped: it may resemble another, but it contradicts none.
    incomparable=(
        f"not ({_has_whole_number('l')} and {_has_whole_number('r')}) and not coalesce({SIMILAR_PHONE.sql}, false)"
    ),
)

# One comparison, because an address and its domain are one piece of evidence.
_COMPANY_EMAIL = Evidence(
    name="email",
    present="coalesce(email{}, domain{}) is not null",
    levels=(
        Level("email_l = email_r", "same e-mail", "email"),
        Level("domain_l = domain_r", "same web domain", "domain"),
        EMAIL.levels[2],
    ),
    different="different web domain",
    incomparable="(email_l is null or email_r is null) and (domain_l is null or domain_r is null)",
)

_COSINE = "array_inner_product(name_vector_l, name_vector_r)"
_CONTAINED = f"{_COSINE} * greatest(name_norm_l, name_norm_r) / least(name_norm_l, name_norm_r)"

# 海升药业 and 海正药业 are no slip of each other, though their pinyin nearly is.
_BOTH_CHINESE = "coalesce(brand_l is not null and brand_r is not null, false)"


_SPELT = "replace(company_key_{}, ' ', '')"


def _spelt_alike(letters: int) -> str:
    """At most one slip in so many letters, spaces aside; the first condition is there because it is cheap."""
    left, right = _SPELT.format("l"), _SPELT.format("r")
    return (
        f"(jaro_similarity(company_key_l, company_key_r) >= 0.8 and length({left}) >= 6 and not ({_BOTH_CHINESE})"
        f" and damerau_levenshtein({left}, {right}) * {letters} <= greatest(length({left}), length({right})))"
    )


# D S M and DSM, Sea World and Seaworld, but not 亚太 and 亚泰, which only sound the same; the first letters are there
# because they are cheap.
_SPACED_OTHERWISE = (
    f"(left(company_key_l, 1) = left(company_key_r, 1) and {_SPELT.format('l')} = {_SPELT.format('r')}"
    f" and not ({_BOTH_CHINESE}))"
)

_SPACES = "length(regexp_replace(company_key_{}, '[^ ]', '', 'g'))"
# LIKE pattern of a name that finds its letters in their order; a space stands for itself, so that word meets word.
_LETTERS = "regexp_replace(company_key_{}, '([a-z])', '\\1%', 'g')"
# Hunter Douglas Ind and Hunter Douglas Industries, Adidas Internatl Marketing.
_ABBREVIATED = (
    f"(head_l = head_r and {_SPACES.format('l')} = {_SPACES.format('r')}"
    f" and (company_key_l like {_LETTERS.format('r')} or company_key_r like {_LETTERS.format('l')}))"
)

# Store 12 and Store 21, Fund II and Fund III.
_NUMBERS = "regexp_extract_all(company_key_{}, '[0-9]+|\\b(?:ii|iii|iv|vi|vii|viii|ix)\\b')"
_OTHER_NUMBER = (
    f"(len({_NUMBERS.format('l')}) > 0 and len({_NUMBERS.format('r')}) > 0"
    f" and {_NUMBERS.format('l')} <> {_NUMBERS.format('r')})"
)

CONTAINED = "one company name contains the other"

_COMPANY_NAME = Evidence(
    name="name",
    present="coalesce(core{}, company_key{}) is not null",
    is_name=True,
    levels=(
        Level("core_l = core_r", "same company name", "core"),
        Level(
            f"({_SPACED_OTHERWISE} or {_COSINE} >= 0.9 or {_spelt_alike(12)}) and not {_OTHER_NUMBER}",
            "nearly the same company name",
        ),
        Level(
            f"{_CONTAINED} >= 0.8 and (core_l like core_pattern_r or core_r like core_pattern_l)"
            f" or {_CONTAINED} >= 0.95 and ({_COSINE} >= 0.5 or {_COSINE} >= 0.25 and head_l = head_r)",
            CONTAINED,
        ),
        Level(
            "contains(concat(' ', company_key_l, ' '), concat(' ', brand_r, ' '))"
            " or contains(concat(' ', company_key_r, ' '), concat(' ', brand_l, ' '))",
            "same brand in Chinese and in English",
        ),
        Level(
            f"({_COSINE} >= 0.8 or {_spelt_alike(8)} or {_ABBREVIATED}) and not {_OTHER_NUMBER}", "similar company name"
        ),
        # Names begin with what is their own, and end with their trade.
        Level(f"{_COSINE} >= 0.45 and head_l = head_r", "company name that begins the same"),
        Level(f"{_COSINE} >= 0.45", "partly the same company name"),
        Level(f"{_COSINE} >= 0.2", "a word of the company name in common"),
    ),
    different="different company name",
)

ORGANISATION = Kind(
    party_type="organisation",
    feature_table="identity.organisation_feature",
    evidence=(
        _COMPANY_NAME,
        identifier("tax_text", "tax_text", "tax id"),
        _COMPANY_EMAIL,
        _COMPANY_PHONE,
        ADDRESS,
        PLACE,
        plain("region", "region"),
        plain("industry", "industry"),
    ),
    keys=(
        Key("tax id", ("tax_text",)),
        Key("e-mail", ("email",)),
        Key("company name", ("core",)),
        Key("company name in Latin letters", ("replace(company_key, ' ', '')",)),
        Key("web domain", ("domain",)),
        Key("address", ("address",)),
        Key("beginning of the name", ("left(company_key, 7)",)),
        Key("address number and postal code", ("address_number", "postal_code")),
        Key("address number and city", ("address_number", "city")),
    ),
    has_name_tokens=True,
    weighed_by=("clean_source",),
    # A company is named after its trade and its town, and its web domain after it.
    namesakes_share=("name", "email", "place", "region", "industry"),
)
