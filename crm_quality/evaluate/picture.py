"""The threshold curve as a picture. Does not belong here: its figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crm_quality.evaluate.agreement import CurvePoint, Quality


def draw_curve(points: Sequence[CurvePoint], reached: Quality, to: Path) -> list[Path]:
    """Write threshold_curve.svg and .png into a folder; returns the files.

    Left: precision, recall and F1 of single pairs by match weight. Right: precision against recall, with the point
    that the customers reached: clustering sees more than single pairs do.
    """
    import altair as alt

    rows = [
        {"match weight (bits)": point.match_weight, "measure": name, "share": getattr(point, name)}
        for point in points
        for name in ("precision", "recall", "f1")
    ]
    by_weight = (
        alt.Chart(alt.InlineData(values=rows), title="Single pairs, linked from a weight up")
        .mark_line(interpolate="step-before")
        .encode(
            x=alt.X("match weight (bits):Q"),
            y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("measure:N", sort=["precision", "recall", "f1"]),
            strokeDash=alt.StrokeDash("measure:N", sort=["precision", "recall", "f1"], legend=None),
        )
        .properties(width=420, height=300)
    )
    axes = {
        "x": alt.X("recall:Q", scale=alt.Scale(domain=[0, 1])),
        "y": alt.Y("precision:Q", scale=alt.Scale(domain=[0, 1])),
    }
    pairs = [{"recall": point.recall, "precision": point.precision, "what": "single pairs"} for point in points]
    customers = [
        {"recall": reached.pairwise_recall, "precision": reached.pairwise_precision, "what": "customers as published"}
    ]
    against = (
        alt.Chart(alt.InlineData(values=pairs)).mark_line(interpolate="linear").encode(order="recall:Q", **axes)
        + alt.Chart(alt.InlineData(values=customers)).mark_point(size=120, filled=True, color="#d62728").encode(**axes)
        + alt.Chart(alt.InlineData(values=customers)).mark_text(dy=16, align="right").encode(text="what:N", **axes)
    ).properties(width=300, height=300, title="Precision against recall")
    chart = by_weight | against
    to.mkdir(parents=True, exist_ok=True)
    files = [to / "threshold_curve.svg", to / "threshold_curve.png"]
    for file in files:
        chart.save(file, scale_factor=2 if file.suffix == ".png" else 1)
    return files
