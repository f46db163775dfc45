"""The built-in layouts as a table. Belongs here: what a layout covers, in words. Does not: reading of files."""

from datetime import date
from functools import cache

import yaml

from crm_quality.sources.layout import BUILT_IN, Format, Source, layouts

_EXAMPLE = date(2026, 11, 21)


@cache
def built_in(layout: str) -> Source:
    """A built-in layout as it is, before any project lays its own keys over it."""
    content = yaml.safe_load((BUILT_IN / f"{layout}.yaml").read_text(encoding="utf-8"))
    return Source.model_validate({"name": layout, "path": "extracts", **content})


def layout_table() -> str:
    """One row per layout in Markdown: which objects become what, and how the files are written."""
    rows = [
        f"| `{layout}` | {source.system}, {source.kind.upper()} | {_objects(source)} | {_dialect(source.format)} |"
        for layout in layouts()
        for source in [built_in(layout)]
    ]
    return "\n".join(["| layout | system | becomes (from) | dialect |", "|---|---|---|---|", *rows])


def _objects(source: Source) -> str:
    origins: dict[str, list[str]] = {}
    for name, entry in source.objects.items():
        for table, mapping in entry.maps.items():
            beside = f" with {', '.join(mapping.look_up)}" if mapping.look_up else ""
            origins.setdefault(table, []).append(f"{name}{beside}")
    return "; ".join(f"**{table}** ({', '.join(names)})" for table, names in origins.items())


def _dialect(shape: Format) -> str:
    days = [_EXAMPLE.strftime(form) for form in shape.dates if form.startswith("%") and "%H" not in form]
    others = [form.replace("_", " ") for form in shape.dates if not form.startswith("%")]
    number = "1.234,56-" if shape.decimal == "," else "1234.56"
    fields = "any delimiter" if shape.delimiter == "auto" else f"`{shape.delimiter}`"
    flags = f"{shape.true_values[0]}/{shape.false_values[0]}"
    return ", ".join([shape.encoding.upper(), fields, number, *days, *others, flags])
