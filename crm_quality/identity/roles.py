"""What a column means for matching: comparisons and keys by role. Does not belong here: anything learnt from data."""

from __future__ import annotations

from dataclasses import dataclass

VECTOR_SIZE = 128


@dataclass(frozen=True)
class Level:
    """One degree of agreement: the condition, what to call it in words, and the column whose rarity counts."""

    sql: str
    words: str
    rarity_column: str | None = None


@dataclass(frozen=True)
class Evidence:
    """One comparison. Levels run from the strongest agreement down; the last, "different", is implied."""

    name: str
    present: str  # SQL over one record: is there something to compare
    levels: tuple[Level, ...]
    different: str
    is_name: bool = False
    is_shared: bool = False  # families, neighbours and colleagues have it in common
    kin: str | None = None  # words of the level at which related parties stand
    incomparable: str = "false"  # SQL over the pair: both have something, but not of one kind

    @property
    def kin_level(self) -> int | None:
        """Position of the level at which related parties stand."""
        return next((place for place, level in enumerate(self.levels) if level.words == self.kin), None)

    def on_side(self, side: str) -> str:
        """The condition `present` for the left (`l`) or right (`r`) record of a pair."""
        return self.present.replace("{}", f"_{side}")


@dataclass(frozen=True)
class Key:
    """One blocking key: records with the same value of all expressions are compared."""

    name: str
    expressions: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The key as one text, NULL as soon as one part is missing."""
        return (
            "concat_ws('|', " + ", ".join(self.expressions) + ")" if len(self.expressions) > 1 else self.expressions[0]
        )


@dataclass(frozen=True)
class Kind:
    """One party type: where its features are and how they are compared."""

    party_type: str
    feature_table: str
    evidence: tuple[Evidence, ...]
    keys: tuple[Key, ...]
    training_keys: tuple[tuple[str, ...], ...]
    has_name_tokens: bool


def _any_pair(condition: str, left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """`condition` (with {a} and {b}) for any combination of the left and the right columns."""
    return "(" + " or ".join(condition.format(a=f"{a}_l", b=f"{b}_r") for a in left for b in right) + ")"


PHONES = ("phone_1", "phone_2")

_SIMILAR_PHONE = Level(
    _any_pair(
        "(right({a}, 7) = right({b}, 7) or (jaro_similarity({a}, {b}) >= 0.85"
        " and length({a}) >= 7 and levenshtein({a}, {b}) <= 1))",
        PHONES,
        PHONES,
    ),
    "similar phone",
)

_COMPANY_PHONE = Evidence(
    name="phone",
    present="coalesce(phone_1{}, phone_2{}) is not null",
    is_shared=True,
    levels=(Level(_any_pair("{a} = {b}", PHONES, PHONES), "same phone"), _SIMILAR_PHONE),
    different="different phone",
)

# A mobile number is one person's; a landline is a household's or an office's.
_SAME_MOBILE = "(phone_1_l = phone_1_r or phone_1_l = phone_2_r or phone_2_l = phone_1_r)"
_PERSON_PHONE = Evidence(
    name="phone",
    present="coalesce(phone_1{}, phone_2{}) is not null",
    levels=(
        Level(_SAME_MOBILE, "same mobile"),
        Level("phone_2_l = phone_2_r and (phone_1_l is null or phone_1_r is null)", "same phone"),
        _SIMILAR_PHONE,
        Level("phone_2_l = phone_2_r", "same phone, but different mobile"),
        Level("phone_1_l is null or phone_1_r is null", "different phone"),
    ),
    different="different mobile",
    incomparable=(
        "(phone_1_l is null or phone_1_r is null) and (phone_2_l is null or phone_2_r is null)"
        f" and not coalesce({_SAME_MOBILE}, false)"
    ),
)

_EMAIL = Evidence(
    name="email",
    present="email{} is not null",
    levels=(
        Level("email_l = email_r", "same e-mail", "email"),
        Level("email_local_l = email_local_r", "same e-mail name", "email_local"),
        Level(
            "jaro_similarity(email_l, email_r) >= 0.85 and length(email_l) >= 10 and levenshtein(email_l, email_r) <= 2",
            "similar e-mail",
        ),
        Level(
            "jaro_winkler_similarity(split_part(email_l, '@', 1), split_part(email_r, '@', 1)) >= 0.92",
            "similar e-mail name",
        ),
    ),
    different="different e-mail",
)

# One comparison, because an address and its domain are one piece of evidence.
_COMPANY_EMAIL = Evidence(
    name="email",
    present="coalesce(email{}, domain{}) is not null",
    levels=(
        Level("email_l = email_r", "same e-mail", "email"),
        Level("domain_l = domain_r", "same web domain", "domain"),
        _EMAIL.levels[2],
    ),
    different="different web domain",
    incomparable="(email_l is null or email_r is null) and (domain_l is null or domain_r is null)",
)

_ADDRESS = Evidence(
    name="address",
    present="address{} is not null",
    is_shared=True,
    levels=(
        Level("address_l = address_r", "same address", "address"),
        Level(
            "(address_number_l is not distinct from address_number_r)"
            " and (contains(address_l, address_r) or contains(address_r, address_l)"
            " or jaro_winkler_similarity(address_l, address_r) >= 0.9)",
            "similar address",
        ),
        Level(
            "split_part(address_number_l, ' ', 1) = split_part(address_number_r, ' ', 1)"
            " and jaro_winkler_similarity(address_l, address_r) >= 0.8"
            " or jaro_winkler_similarity(address_l, address_r) >= 0.92",
            "partly the same address",
        ),
    ),
    different="different address",
)

_PLACE = Evidence(
    name="place",
    present="coalesce(postal_code{}, city{}) is not null",
    is_shared=True,
    levels=(
        Level("postal_code_l = postal_code_r", "same postal code", "postal_code"),
        Level(
            "city_l = city_r and (postal_code_l is null or postal_code_r is null"
            " or levenshtein(postal_code_l, postal_code_r) <= 1)",
            "same city",
            "city",
        ),
        Level(
            "city_l = city_r or levenshtein(postal_code_l, postal_code_r) <= 1"
            " or jaro_winkler_similarity(city_l, city_r) >= 0.9",
            "similar place",
        ),
    ),
    different="different place",
)

_BOTH_HANZI = "hanzi_l is not null and hanzi_r is not null"
_WHOLE_NAMES = "given_l is not null and family_l is not null and given_r is not null and family_r is not null"
_SLIP = (
    "(jaro_similarity(name_key_l, name_key_r) >= 0.85 and length(name_key_l) >= 8"
    " and levenshtein(name_key_l, name_key_r) <= 1)"
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
    kin="same family name, other given name",
    levels=(
        Level(f"hanzi_l = hanzi_r and {_WHOLE_NAMES}", "same name", "hanzi"),
        Level(f"name_key_l = name_key_r and {_WHOLE_NAMES} and not ({_BOTH_HANZI})", "same name", "name_key"),
        Level(
            f"{_WHOLE_NAMES} and (hanzi_sorted_l = hanzi_sorted_r or not ({_BOTH_HANZI}) and ({_SLIP} or {_ROTATED}))",
            "same name but for a slip or the order",
        ),
        Level(f"{_WHOLE_NAMES} and name_key_l = name_key_r", "name that sounds the same"),
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
)

_BIRTH_DATE = Evidence(
    name="birth_date",
    present="birth_date{} is not null",
    levels=(
        Level("birth_date_l = birth_date_r", "same birth date", "birth_date"),
        Level(
            "levenshtein(birth_date_l, birth_date_r) <= 1"
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


def _identifier(name: str, column: str, words: str) -> Evidence:
    return Evidence(
        name=name,
        present=f"{column}{{}} is not null",
        levels=(
            Level(f"{column}_l = {column}_r", f"same {words}"),
            Level(
                f"jaro_similarity({column}_l, {column}_r) >= 0.75 and length({column}_l) >= 6"
                f" and levenshtein({column}_l, {column}_r) <= 2",
                f"similar {words}",
            ),
        ),
        different=f"different {words}",
    )


def _plain(name: str, words: str, rarity: bool = True, is_shared: bool = True) -> Evidence:
    level = Level(f"{name}_l = {name}_r", f"same {words}", name if rarity else None)
    present = f"{name}{{}} is not null"
    return Evidence(name, present, (level,), f"different {words}", is_shared=is_shared)


_COSINE = "array_inner_product(name_vector_l, name_vector_r)"
_CONTAINED = f"{_COSINE} * greatest(name_norm_l, name_norm_r) / least(name_norm_l, name_norm_r)"

_COMPANY_NAME = Evidence(
    name="name",
    present="coalesce(core{}, company_key{}) is not null",
    is_name=True,
    levels=(
        Level("core_l = core_r", "same company name", "core"),
        Level(
            f"company_key_l = company_key_r or {_COSINE} >= 0.9"
            " or (length(company_key_l) >= 6 and jaro_winkler_similarity(company_key_l, company_key_r) >= 0.96)",
            "nearly the same company name",
        ),
        Level(
            f"core_l like core_pattern_r or core_r like core_pattern_l or ({_CONTAINED} >= 0.95 and {_COSINE} >= 0.5)",
            "one company name contains the other",
        ),
        Level(
            "contains(concat(' ', company_key_l, ' '), concat(' ', brand_r, ' '))"
            " or contains(concat(' ', company_key_r, ' '), concat(' ', brand_l, ' '))",
            "same brand in Chinese and in English",
        ),
        Level(f"{_COSINE} >= 0.7", "similar company name"),
        Level(f"{_COSINE} >= 0.45", "partly the same company name"),
        Level(f"{_COSINE} >= 0.2", "a word of the company name in common"),
    ),
    different="different company name",
)

PERSON = Kind(
    party_type="person",
    feature_table="identity.person_feature",
    evidence=(
        _PERSON_NAME,
        _BIRTH_DATE,
        _identifier("national_text", "national_text", "national id"),
        _EMAIL,
        _PERSON_PHONE,
        _ADDRESS,
        _PLACE,
        _plain("gender", "gender", rarity=False, is_shared=False),
        _plain("employer", "employer"),
    ),
    keys=(
        Key("national id", ("national_text",)),
        Key("e-mail", ("email",)),
        Key("e-mail name", ("email_local",)),
        Key("name", ("name_key",)),
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
        Key("family name", ("family",)),
        Key("given name", ("given",)),
    ),
    training_keys=(
        ("name_key",),
        ("birth_date",),
        ("email",),
        ("phone_1",),
        ("national_text",),
        ("address",),
        ("postal_code", "family"),
        ("city", "family"),
    ),
    has_name_tokens=False,
)

ORGANISATION = Kind(
    party_type="organisation",
    feature_table="identity.organisation_feature",
    evidence=(
        _COMPANY_NAME,
        _identifier("tax_text", "tax_text", "tax id"),
        _COMPANY_EMAIL,
        _COMPANY_PHONE,
        _ADDRESS,
        _PLACE,
        _plain("region", "region"),
        _plain("industry", "industry"),
    ),
    keys=(
        Key("tax id", ("tax_text",)),
        Key("e-mail", ("email",)),
        Key("company name", ("core",)),
        Key("company name in Latin letters", ("company_key",)),
        Key("web domain", ("domain",)),
        Key("address", ("address",)),
        Key("beginning of the name", ("left(company_key, 7)",)),
        Key("address number and postal code", ("address_number", "postal_code")),
        Key("address number and city", ("address_number", "city")),
    ),
    training_keys=(
        ("core",),
        ("phone_1",),
        ("email",),
        ("domain",),
        ("address",),
        ("tax_text",),
        ("address_number", "postal_code"),
        ("region", "industry"),
        ("city", "industry"),
        ("postal_code",),
    ),
    has_name_tokens=True,
)

KINDS = (PERSON, ORGANISATION)
