"""What can be compared, and how: the roles that persons and organisations share. Does not belong here: anything learnt from data."""

from __future__ import annotations

from dataclasses import dataclass


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
    kin: tuple[str, ...] = ()  # words of the levels at which related parties stand, and how many of them do
    kin_share: float = 0.0
    incomparable: str = "false"  # SQL over the pair: both have something, but not of one kind

    @property
    def kin_levels(self) -> tuple[int, ...]:
        """Positions of the levels `kin`."""
        return tuple(place for place, level in enumerate(self.levels) if level.words in self.kin)

    def on_side(self, side: str) -> str:
        """The condition `present` for the left (`l`) or right (`r`) record of a pair."""
        return self.present.replace("{}", f"_{side}")


@dataclass(frozen=True)
class Key:
    """One blocking key: records with the same value of all expressions are compared.

    A last resort compares many strangers; it is taken only where the other keys left half of the budget.
    """

    name: str
    expressions: tuple[str, ...]
    is_last_resort: bool = False

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
    has_name_tokens: bool
    weighed_by: tuple[str, ...]  # columns that the rules of `explain` read beside those compared
    namesakes_share: tuple[str, ...]  # comparisons in which those agree who bear one name by chance


def any_pair(condition: str, left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """`condition` (with {a} and {b}) for any combination of the left and the right columns."""
    return "(" + " or ".join(condition.format(a=f"{a}_l", b=f"{b}_r") for a in left for b in right) + ")"


PHONES = ("phone_1", "phone_2")

SIMILAR_PHONE = Level(
    any_pair(
        "(right({a}, 7) = right({b}, 7)"
        " or (length({a}) >= 7 and length({b}) >= 7 and (contains({a}, {b}) or contains({b}, {a})))"
        " or (jaro_similarity({a}, {b}) >= 0.85"
        " and length({a}) >= 7 and levenshtein({a}, {b}) <= 1))",
        PHONES,
        PHONES,
    ),
    "similar phone",
)


WHOLE_NUMBER = "coalesce(starts_with({}, '+'), false)"

# ann.lee1252 and ann.lee25 are no slip of each other: numbers tell namesakes apart.
_DIGITS = "regexp_replace({}, '[^0-9]+', '', 'g')"

_SIMILAR_EMAIL = (
    "jaro_similarity(email_l, email_r) >= 0.85 and length(email_l) >= 10 and levenshtein(email_l, email_r) <= 2"
    f" and levenshtein({_DIGITS.format('email_l')}, {_DIGITS.format('email_r')}) <= 1"
)
_SAME_EMAIL_NAME = "email_local_l = email_local_r"
# ann.lee@a.com and lee.ann@b.com say no more than the name does.
_NAMES_ONCE_MORE = (
    "email_is_name_l and email_is_name_r and email_l <> email_r"
    f" and not coalesce({_SAME_EMAIL_NAME}, false) and not ({_SIMILAR_EMAIL})"
    f" and ({_DIGITS.format('email_l')} = '' or {_DIGITS.format('email_r')} = '')"
)

EMAIL = Evidence(
    name="email",
    present="email{} is not null",
    levels=(
        Level("email_l = email_r", "same e-mail", "email"),
        Level(_SAME_EMAIL_NAME, "same e-mail name", "email_local"),
        Level(_SIMILAR_EMAIL, "similar e-mail"),
        Level(
            "jaro_winkler_similarity(split_part(email_l, '@', 1), split_part(email_r, '@', 1)) >= 0.92"
            f" and levenshtein({_DIGITS.format('email_l')}, {_DIGITS.format('email_r')}) <= 1",
            "similar e-mail name",
        ),
    ),
    different="different e-mail",
    incomparable=_NAMES_ONCE_MORE,
)

# One comparison, because an address and its domain are one piece of evidence.

ADDRESS = Evidence(
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

PLACE = Evidence(
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


def identifier(name: str, column: str, words: str) -> Evidence:
    """An id as it came: slips of up to two characters count as similar."""
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


def plain(name: str, words: str, *, rarity: bool = True, is_shared: bool = True) -> Evidence:
    """A column that is the same or not."""
    level = Level(f"{name}_l = {name}_r", f"same {words}", name if rarity else None)
    present = f"{name}{{}} is not null"
    return Evidence(name, present, (level,), f"different {words}", is_shared=is_shared)
