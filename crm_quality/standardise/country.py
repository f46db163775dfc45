"""Standardise country names and codes. Does not belong here: regions inside a country."""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from crm_quality.standardise.placeholder import is_placeholder_word
from crm_quality.standardise.text import clean, fold
from crm_quality.standardise.words import load


class Country(NamedTuple):
    """An ISO 3166 two-letter code; None where `problem` says why, or where nothing came."""

    country: str | None
    problem: str | None


def standardise_country(value: str | None) -> Country:
    """The two-letter code of a country written as code or name in any language of the CLDR; never raises.

    Problems: 'placeholder', 'unknown country'.
    """
    text = clean(value)
    if not text:
        return Country(None, None)
    # "NA" is Namibia, so that codes come before placeholders.
    code = _codes().get(text.upper()) or _names().get(_key(text))
    if code:
        return Country(code, None)
    return Country(None, "placeholder" if is_placeholder_word(text) else "unknown country")


def _key(name: str) -> str:
    words = fold(name).replace("&", "and").split()
    return "".join(word for word in words if word not in ("the", "of", "and"))


@lru_cache(maxsize=1)
def _translations() -> dict[str, dict[str, str]]:
    """Country code -> language -> name, from the file of phonenumbers that holds nothing else.

    Importing it the usual way would first load its package, all area codes of the world: seven seconds.
    """
    package = importlib.util.find_spec("phonenumbers")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("phonenumbers is not installed")
    file = Path(package.origin).parent / "geodata" / "locale.py"
    spec = importlib.util.spec_from_file_location("phonenumbers.geodata.locale", file)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"phonenumbers has no {file.name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    translations: dict[str, dict[str, str]] = module.LOCALE_DATA
    return translations


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    """Two- and three-letter codes, and some that are not ISO's but in use (UK, EL)."""
    countries = load("countries")
    codes = {code: code for code in _translations()}
    pairs = (pair.split(":") for pair in countries["alpha3"].split())
    codes |= {three: two for two, three in pairs}
    codes |= countries["other_codes"]
    return codes


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Names in every language that phonenumbers knows, English and Chinese first, and our own aliases.

    A name that two countries share in other languages is left out: better unknown than wrong.
    """
    aliases = load("countries")["names"]
    names = {_key(clean(name)): code for code, texts in aliases.items() for name in texts}
    for language in ("en", "zh", "zh_Hant", "de", "fr", "es"):
        for code, translations in _translations().items():
            _add(names, translations, language, code)
    others: dict[str, set[str]] = {}
    for code, translations in _translations().items():
        for name in translations.values():
            others.setdefault(_key(clean(name)), set()).add(code)
    for key, found in others.items():
        if key and len(found) == 1:
            names.setdefault(key, next(iter(found)))
    return names


def _add(names: dict[str, str], translations: dict[str, str], language: str, code: str) -> None:
    name = translations.get(language, "")
    # "*aa" refers to the name in another language, in one case to itself.
    if name.startswith("*"):
        name = translations.get(name[1:], "")
    key = _key(clean(name))
    if key:
        names.setdefault(key, code)
