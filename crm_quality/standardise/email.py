"""Standardise e-mail addresses. Does not belong here: sending mail, asking name servers."""

import re
from functools import lru_cache
from typing import NamedTuple

from crm_quality.standardise.placeholder import (
    is_dummy_number,
    is_keyboard_mash,
    is_placeholder_word,
    is_repeated,
)
from crm_quality.standardise.text import clean
from crm_quality.standardise.words import word_set

_BRACKETED = re.compile(r"<\s*([^<>]*@[^<>]*)>")
_BETWEEN = re.compile(r"[;,/|、]+")
_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_RESERVED = ("example.com", "example.org", "example.net", "example.edu")
_RESERVED_TOP = (".test", ".example", ".invalid", ".localhost", ".local", ".arpa", ".onion")
_LONGEST_LOCAL = 64
_LONGEST_ADDRESS = 254


class Email(NamedTuple):
    """An address and its parts, in lower case; all None where `problem` says why."""

    email: str | None
    local_part: str | None
    domain: str | None
    is_free: bool | None
    is_disposable: bool | None
    problem: str | None


def standardise_email(value: str | None) -> Email:
    """The first address in a text, in lower case; never raises.

    Problems: 'syntax', 'placeholder', 'domain cannot receive mail' (reserved names such as example.com).
    Whether a mailbox exists is not asked.
    """
    text = clean(value)
    if not text:
        return _refused(None)
    best = _refused("placeholder" if is_placeholder_word(text) else "syntax")
    for candidate in _candidates(text):
        found = _standardise(candidate)
        if found.problem is None:
            return found
        if best.problem == "syntax":
            best = found
    return best


def _refused(problem: str | None) -> Email:
    return Email(None, None, None, None, None, problem)


def _candidates(text: str) -> list[str]:
    """Addresses in a text such as "Wei Wang <w@a.cn>; x@b.cn", in their order."""
    text = text.casefold().replace("mailto:", " ").replace("。", ".")
    bracketed = [address.strip() for address in _BRACKETED.findall(text)]
    parts = [part.strip() for part in _BETWEEN.split(text) if "@" in part]
    # A space separates addresses only between addresses: "john smith@x.com" is a slip, not smith@x.com.
    words = [word for part in parts for word in (part.split() if part.count("@") > 1 else [part])]
    return bracketed or [word.strip(".<>()[]'\"“”‘’:") for word in words]


def _standardise(address: str) -> Email:
    local, _, host = address.rpartition("@")
    if not _LOCAL.fullmatch(local) or len(local) > _LONGEST_LOCAL or len(address) > _LONGEST_ADDRESS:
        return _refused("syntax")
    domain, problem = _domain(host)
    if domain is None:
        return _refused(problem)
    if _is_placeholder(local, domain):
        return _refused("placeholder")
    name = f"{local}@{domain}"
    free = domain in word_set("email_domains", "free")
    return Email(name, local, domain, free, domain in word_set("email_domains", "disposable"), None)


# Domains repeat far more often than addresses, and email-validator needs 170 us for one.
@lru_cache(maxsize=200_000)
def _domain(host: str) -> tuple[str | None, str | None]:
    """The domain as email-validator normalises it, or why it is none."""
    from email_validator import EmailNotValidError, validate_email

    host = host.rstrip(".")
    if len(host.rpartition(".")[2]) < 2:
        return None, "syntax"
    if host in _RESERVED or host.endswith(tuple(f".{name}" for name in _RESERVED)) or host.endswith(_RESERVED_TOP):
        return None, "domain cannot receive mail"
    try:
        checked = validate_email(f"a@{host}", check_deliverability=False)
    except (EmailNotValidError, ValueError):
        return None, "syntax"
    return checked.domain.casefold(), None


def _is_placeholder(local: str, domain: str) -> bool:
    if domain in word_set("placeholders", "domains"):
        return True
    if local in word_set("placeholders", "locals") or is_repeated(local, 4) or is_dummy_number(local):
        return True
    # a@a.com, qwe@qwe.com: but ibm@ibm.com is a mailbox.
    is_twice = local == domain.partition(".")[0]
    return is_keyboard_mash(local, least=3 if is_twice else 4) or (is_twice and is_repeated(local, 1))
