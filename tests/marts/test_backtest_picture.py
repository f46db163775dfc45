"""The picture of the backtests is drawn when there is something new to see. Does not belong here: the figures."""

from pathlib import Path

import duckdb

from crm_quality.marts import backtest
from crm_quality.marts.backtest import Figure
from crm_quality.marts.backtest_picture import draw_backtests
from tests.golden.scenario import EXTRACT_DATE, warehouse


def say(con: duckdb.DuckDBPyConnection, value: float) -> None:
    backtest.start(con, "churn")
    figures = [Figure("calibration", tenth, value, 0.3, 0.2, 0.2) for tenth in range(1, 11)]
    backtest.write(con, "churn", EXTRACT_DATE, 180, 100, figures)


def test_the_picture_is_drawn_when_the_figures_are_others_and_kept_until_then(tmp_path: Path) -> None:
    with warehouse() as con:
        say(con, 0.5)
        first = draw_backtests(con, tmp_path)
        assert first is not None and first.startswith(b"\x89PNG")
        (kept,) = tmp_path.iterdir()
        kept.write_bytes(b"as it was")
        assert draw_backtests(con, tmp_path) == b"as it was"
        say(con, 0.6)
        other = draw_backtests(con, tmp_path)
        assert other not in (None, first, b"as it was")
        assert len(list(tmp_path.iterdir())) == 1
        con.execute("delete from marts.model_backtest")
        assert draw_backtests(con, tmp_path) is None
