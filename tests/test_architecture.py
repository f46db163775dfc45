"""What holds the project together: layers, one entry point, a suite for every table, a graph that loads quickly."""

import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from crm_quality.assets.pipeline import build_definitions
from crm_quality.project import open_project
from crm_quality.quality.suites import load_suites

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    folder = tmp_path_factory.mktemp("graph")
    (folder / "sources").mkdir()
    (folder / "crm_quality.yaml").write_text("name: graph\n")
    for layout in ("salesforce", "fxiaoke", "sap"):
        (folder / "sources" / f"{layout}.yaml").write_text(f"layout: {layout}\npath: {layout}/{{date}}\n")
    return build_definitions(open_project(folder))


def test_lower_layers_never_import_higher_ones_and_only_the_dagster_layer_imports_dagster():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_both_ways_of_starting_dagster_name_the_same_module():
    with (ROOT / "pyproject.toml").open("rb") as stream:
        named = tomllib.load(stream)["tool"]["dagster"]["module_name"]
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    assert workspace == {"load_from": [{"python_module": named}]}


def test_every_table_of_core_golden_and_marts_has_a_suite_and_every_suite_a_table(definitions):
    tables = {".".join(key.path) for key in definitions.resolve_all_asset_keys()}
    suites = set(load_suites())
    assert suites <= tables
    assert {table for table in tables if table.split(".")[0] in ("core", "golden", "marts")} <= suites


def test_every_expectation_is_an_asset_check(definitions):
    graph = definitions.resolve_asset_graph()
    found = {(".".join(key.asset_key.path), key.name) for key in graph.asset_check_keys}
    declared = {(suite.table, check.name) for suite in load_suites().values() for check in suite.checks}
    assert declared <= found


def test_every_asset_has_a_description_a_group_an_owner_and_leads_to_the_published_file(definitions):
    graph = definitions.resolve_asset_graph()
    published = dg.AssetKey(["published", "golden"])
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.group_name == key.path[0]
    upstream = dg.AssetSelection.assets(published).upstream().resolve(graph)
    assert upstream == graph.get_all_asset_keys()


def test_the_nightly_schedule_and_the_sensor_for_new_extracts_start_the_same_job(definitions):
    assert definitions.resolve_schedule_def("every_night").job_name == "nightly"
    assert definitions.resolve_sensor_def("new_extract_day").job_name == "nightly"


def test_loading_the_definitions_imports_no_heavy_library():
    code = (
        "import sys, crm_quality.assets.pipeline; "
        "print([m for m in ('great_expectations', 'splink', 'pymc', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_repository_names_no_registry():
    for file in (ROOT / "requirements.lock", ROOT / "Makefile", ROOT / "pyproject.toml"):
        assert "://" not in file.read_text(), file
