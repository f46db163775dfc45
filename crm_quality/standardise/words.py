"""Read the word lists in `data/`. Belongs here: loading and caching. Does not: what the words mean."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "data"


@cache
def load(name: str) -> dict[str, Any]:
    """The content of `data/<name>.yaml`, read once per process."""
    with (DATA / f"{name}.yaml").open(encoding="utf-8") as file:
        content: dict[str, Any] = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return content


@cache
def word_set(name: str, key: str) -> frozenset[str]:
    """The words of one list: a YAML list, or a text of words separated by spaces."""
    content = load(name)[key]
    return frozenset(content.split() if isinstance(content, str) else content)
