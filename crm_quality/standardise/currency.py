"""Standardise currency codes. Does not belong here: exchange rates, amounts."""

from functools import lru_cache

from crm_quality.standardise.text import clean
from crm_quality.standardise.words import load


def standardise_currency(value: str | None) -> str | None:
    """The ISO 4217 code of a code, symbol or name: RMB, ¥ and 人民币 are CNY; None if it names none."""
    text = clean(value).upper().removesuffix(".")
    return _codes().get(text) if text else None


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    currencies = load("currencies")
    codes = {code: code for code in currencies["codes"].split()}
    for code, names in currencies["names"].items():
        codes.update({clean(str(name)).upper(): code for name in names})
    return codes
