"""The notebooks run on a published file: an analyst's first look must not end in an error."""

import ast
import json
from pathlib import Path
from typing import Any

import altair as alt
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_of_a_notebook_runs_and_shows_something(notebook, sample, monkeypatch):
    monkeypatch.setenv("CRM_QUALITY_PUBLISHED", str(sample.project.golden))
    names: dict[str, Any] = {}
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    for number, cell in enumerate(cells):
        assert cell["outputs"] == [], "kept without outputs: they would hold somebody's customers"
        *statements, last = ast.parse("".join(cell["source"])).body
        assert isinstance(last, ast.Expr)
        exec(compile(ast.Module(statements, type_ignores=[]), f"{notebook.name}, cell {number}", "exec"), names)
        shown = eval(compile(ast.Expression(last.value), f"{notebook.name}, cell {number}", "eval"), names)
        assert len(shown.to_dict()) > 0 if isinstance(shown, alt.Chart) else len(shown) > 0
    names["con"].close()
