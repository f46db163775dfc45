"""The review queue as a page that a steward can read. Does not belong here: what is on the queue, deciding."""

from __future__ import annotations

from html import escape
from math import log2
from pathlib import Path
from shlex import quote
from typing import Any

import duckdb

from crm_quality.errors import CrmQualityError

FIELDS = (
    "full_name", "company_name", "birth_date", "gender", "tax_id", "national_id", "email", "phone", "mobile", "website",
    "street", "house_number", "city", "region", "postal_code", "country", "industry", "created_at", "last_activity_at",
)  # fmt: skip
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
section { border-top: 1px solid #ccc; padding: 1em 0 1.5em } h2 { font-size: 1.1em; margin: 0 0 .3em }
table { border-collapse: collapse } td, th { text-align: left; padding: .15em 1em .15em 0; font-weight: normal }
th { color: #666 } .differs td { background: #fdf1d6 } code { font-size: .85em; user-select: all }
svg { max-width: 100%; height: auto }
"""


def write_review_page(golden: Path, to: Path, pairs: int) -> int:
    """Write the first `pairs` open pairs of identity.review_queue as one HTML file; returns how many there were.

    Both records side by side, the reasons in words, Splink's waterfall chart of the match weight, and the commands
    that decide. The page needs no network; it shows personal data. Raises CrmQualityError when nothing was published.
    """
    if not golden.exists():
        raise CrmQualityError(f"{golden} does not exist; run `crm-quality run` first")
    with duckdb.connect(str(golden), read_only=True) as con:
        queue = _rows(
            con,
            "from identity.review_queue where status = 'open' order by worth desc, pair_id limit ?",
            [pairs],
        )
        sections = [_section(con, place, pair) for place, pair in enumerate(queue, start=1)]
        gain = _rows(con, "from identity.review_gain where reviewed_pairs <= ? order by 1 desc limit 1", [pairs])
    to.parent.mkdir(parents=True, exist_ok=True)
    head = f"<!doctype html><meta charset=utf-8><title>Doubtful matches</title><style>{_STYLE}</style>"
    intro = (
        f"<h1>Doubtful matches</h1><p>The {len(queue)} worth most: doubt times what hangs on it. {_expected(gain)}</p>"
    )
    to.write_text("\n".join([head, intro, *sections]), encoding="utf-8")
    return len(queue)


def _rows(con: duckdb.DuckDBPyConnection, query: str, parameters: list[Any]) -> list[dict[str, Any]]:
    result = con.execute(query, parameters)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _expected(gain: list[dict[str, Any]]) -> str:
    if not gain:
        return ""
    found = gain[0]
    return (
        f"To decide the first {found['reviewed_pairs']} is expected to merge {found['expected_merges'] or 0:.0f} customers"
        f" and to split {found['expected_splits'] or 0:.0f}: {found['share_of_worth']:.0%} of all that the queue is worth."
    )


def _section(con: duckdb.DuckDBPyConnection, place: int, pair: dict[str, Any]) -> str:
    records = [
        _rows(
            con,
            f"select {', '.join(FIELDS)} from core.party where source_system = ? and source_object = ? and source_id = ?",
            [pair[f"{side}_source_{part}"] for part in ("system", "object", "id")],
        )[0]
        for side in ("left", "right")
    ]
    keys = [
        quote("/".join(pair[f"{side}_source_{part}"] for part in ("system", "object", "id")))
        for side in ("left", "right")
    ]
    commands = "".join(
        f"<p><code>crm-quality decide {kind} {escape(' '.join(keys))} --by ... --why ... --project ...</code></p>"
        for kind in ("must-link", "cannot-link")
    )
    return (
        f"<section id=pair-{pair['pair_id']}><h2>{place}. {escape(pair['reasons'])}</h2>"
        f"<p>By model and rules one customer with {pair['match_probability']:.1%}; worth {pair['worth']:g}.</p>"
        f"{_side_by_side(records, keys)}{_chart(pair)}{commands}</section>"
    )


def _side_by_side(records: list[dict[str, Any]], keys: list[str]) -> str:
    rows = [f"<tr><th></th><th>{escape(keys[0])}</th><th>{escape(keys[1])}</th></tr>"]
    for field in FIELDS:
        left, right = (record[field] for record in records)
        if left is None and right is None:
            continue
        differs = " class=differs" if left is not None and right is not None and left != right else ""
        cells = "".join(f"<td>{escape('' if value is None else str(value))}</td>" for value in (left, right))
        rows.append(f"<tr{differs}><th>{field.replace('_', ' ')}</th>{cells}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _chart(pair: dict[str, Any]) -> str:
    """Splink's waterfall chart as SVG; a sentence for a pair so sure that its steps are not kept."""
    if not pair["waterfall"]:
        return "<p>The model is so sure of this pair that its steps were not kept.</p>"
    import vl_convert
    from splink.internals.charts import WaterfallChart

    svg: str = vl_convert.vegalite_to_svg(
        WaterfallChart(_bars(pair["waterfall"], pair["match_probability"])).chart_dict
    )
    return svg


def _bars(waterfall: list[dict[str, Any]], probability: float) -> list[dict[str, Any]]:
    """The steps in the form that Splink's chart takes; over each bar, in two lines, how far the records agree."""
    prior, *compared = ((step["step"], step["agreement"], step["bits"]) for step in waterfall)
    final = round(log2(probability / (1 - probability)), 2)
    bars = [("Prior", "", prior[2]), *compared, ("Final score", "", final)]
    return [
        {
            "column_name": name,
            "label_for_charts": agreement,
            "log2_bayes_factor": bits,
            "bayes_factor": 2.0**bits,
            "value_l": " ".join(agreement.split()[:3]),
            "value_r": " ".join(agreement.split()[3:]),
            "bar_sort_order": order,
            "record_number": 0,
        }
        for order, (name, agreement, bits) in enumerate(bars)
    ]
