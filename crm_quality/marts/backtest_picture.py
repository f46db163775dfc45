"""The backtests as a picture. Does not belong here: their figures."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb

_SIZE = 210
_COLOURS = {"model": "#1f77b4", "baseline": "#ff7f0e"}


def draw_backtests(con: duckdb.DuckDBPyConnection, folder: Path) -> bytes | None:
    """A PNG with one panel per model: what was said of each tenth of the customers against what happened.

    The nearer to the dashed line, the better. None where nothing was tested by tenth. The picture is kept in the folder
    and drawn anew only when the figures are others: most nights test nothing.
    """
    rows = con.execute(
        """
        select model, as_of_date::varchar, metric, 'model', value, observed from marts.model_backtest
        where observed is not null
        union all
        select model, as_of_date::varchar, metric, 'baseline', baseline_value, baseline_observed from marts.model_backtest
        where baseline_observed is not null
        order by all
        """
    ).fetchall()
    if not rows:
        return None
    names = ("model", "origin", "metric", "whose", "said", "happened")
    points = [dict(zip(names, row, strict=True)) for row in rows]
    panels = [
        _panel([point for point in points if point["model"] == model]) for model in sorted({row[0] for row in rows})
    ]
    chart = json.dumps({"hconcat": panels, "resolve": {"scale": {"x": "independent", "y": "independent"}}})
    kept = folder / f"backtests-{hashlib.sha256(chart.encode()).hexdigest()[:16]}.png"
    if not kept.exists():
        # Not through Altair: its import takes longer than the picture.
        import vl_convert

        for old in folder.glob("backtests-*.png"):
            old.unlink()
        folder.mkdir(exist_ok=True)
        building = kept.with_suffix(".building")
        building.write_bytes(vl_convert.vegalite_to_png(chart, scale=1.5))
        building.replace(kept)
    return kept.read_bytes()


def markdown_picture(png: bytes) -> str:
    """The picture as Markdown that holds it, for a page that serves no files."""
    return f"![said against happened](data:image/png;base64,{base64.b64encode(png).decode()})"


def _panel(points: list[dict[str, Any]]) -> dict[str, Any]:
    unit = "typical orders" if points[0]["metric"] == "value" else "share who left"
    most = max(max(point["said"], point["happened"]) for point in points)
    axes = {
        "x": {"field": "said", "type": "quantitative", "title": f"said: {unit}"},
        "y": {"field": "happened", "type": "quantitative", "title": f"happened: {unit}"},
    }
    scale = {"domain": list(_COLOURS), "range": list(_COLOURS.values())}
    return {
        "title": points[0]["model"],
        "width": _SIZE,
        "height": _SIZE,
        "layer": [
            {
                "data": {"values": [{"said": 0, "happened": 0}, {"said": most, "happened": most}]},
                "mark": {"type": "line", "strokeDash": [4, 4], "color": "grey"},
                "encoding": axes,
            },
            {
                "data": {"values": points},
                "mark": {"type": "line", "point": True},
                "encoding": {
                    **axes,
                    "order": {"field": "said"},
                    "color": {"field": "whose", "type": "nominal", "scale": scale, "title": None},
                    "strokeDash": {"field": "origin", "type": "nominal", "legend": None},
                },
            },
        ],
    }
