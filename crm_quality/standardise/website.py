"""Standardise websites to their host name. Does not belong here: fetching anything."""

import re

from crm_quality.standardise.text import clean

_SCHEME = re.compile(r"^(?:[a-z][a-z0-9+-]*:/+|https?:|/+)")
_HOST = re.compile(r"^(?=.{4,253}$)(?:[^\W_](?:[^\W_]|-){0,61}(?<!-)\.)+(?:[^\W\d_]{2,63}|xn--[a-z0-9-]{2,59})$")
_ADDRESS = re.compile(r"[a-z]+://[^\s#]+|www\.[^\s#]+")
# File names, not top-level domains: what a hyperlink field of a desktop database leaves behind.
_NOT_TOP = (".htm", ".html", ".php", ".asp", ".aspx", ".jsp", ".jpg", ".png", ".gif", ".pdf", ".doc", ".xls")
_RESERVED = (".example", ".invalid", ".test", ".localhost", ".local")
_NOBODY = frozenset({"example.com", "example.org", "example.net", "test.com", "website.com", "domain.com"})


def standardise_website(value: str | None) -> str | None:
    """The host of an address in lower case, without scheme, port, path and "www."; None for no address."""
    text = clean(value).casefold()
    if not text or "@" in text.split("/")[0]:
        return None
    found = _ADDRESS.search(text)
    host = _SCHEME.sub("", found[0] if found else text)
    host = re.split(r"[/?#:\\\s,;]", host, maxsplit=1)[0].rstrip(".")
    while host.startswith("www."):
        host = host[4:]
    if not _HOST.match(host) or host.endswith(_NOT_TOP) or host.endswith(_RESERVED) or host in _NOBODY:
        return None
    return host
