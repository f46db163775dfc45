"""Settings and source files: wrong ones are refused with the key, the value and what is allowed."""

from pathlib import Path

import duckdb
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.golden.survivorship import load_policy
from crm_quality.project import init_project, open_project
from crm_quality.sources.layout import layouts, load_source, load_sources


def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(small_project):
    file = small_project.folder / "crm_quality.yaml"
    for content, parts in (
        ("default_country: China\n", ["default_country", "'China'", "^[A-Z]{2}$"]),
        ("threads: 0\n", ["threads", "0", "greater than or equal to 1"]),
        ("threds: 2\n", ["threds", "2", "remove it or correct its name"]),
        ("identity: {objective: 2}\n", ["identity.objective", "2"]),
        ("name: [\n", ["cannot be read"]),
    ):
        file.write_text(content)
        with pytest.raises(CrmQualityError) as caught:
            open_project(small_project.folder)
        for part in [str(file), *parts]:
            assert part in str(caught.value)


def test_the_environment_wins_over_the_file(small_project, monkeypatch):
    monkeypatch.setenv("CRM_QUALITY_THREADS", "1")
    assert open_project(small_project.folder).settings.threads == 1


def test_a_folder_without_settings_is_told_how_to_become_a_project(tmp_path):
    with pytest.raises(CrmQualityError, match="crm-quality init"):
        open_project(tmp_path)


def test_init_makes_a_project_whose_example_source_is_valid_and_never_overwrites(tmp_path):
    project = init_project(tmp_path / "new")
    example = project.sources / "my_crm.yaml.example"
    example.rename(project.sources / "my_crm.yaml")
    (source,) = load_sources(project)
    assert source.kind == "crm"
    with pytest.raises(CrmQualityError, match="already holds a project"):
        init_project(tmp_path / "new")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("layout: salesfoce\n", ["salesfoce", "salesforce"]),
        (
            "kind: crm\npath: x\nobjects: {a: {files: f, maps: {partyy: {columns: {source_id: i}}}}}",
            ["objects.a", "partyy", "party"],
        ),
        (
            "kind: crm\npath: x\nobjects: {a: {files: f, maps: {party: {columns: {id: i}}}}}",
            ["party", "'id'", "source_id"],
        ),
        ("kind: crm\npath: x\nobjects: {a: {files: f, maps: {party: {columns: {email: i}}}}}", ["source_id"]),
        (
            "kind: crm\npath: x\nobjects: {客户: {files: f, maps: {party: {columns: {source_id: i}}}}}",
            ["客户"],
        ),
        ("kind: shop\npath: x\nobjects: {}", ["kind", "'shop'", "'crm'"]),
        ("- a\n", ["expected `key: value`"]),
    ],
)
def test_a_wrong_source_file_is_refused_with_file_key_and_what_is_allowed(tmp_path, content, parts):
    file = tmp_path / "my.yaml"
    file.write_text(content)
    with pytest.raises(CrmQualityError) as caught:
        load_source(file)
    for part in [str(file), *parts]:
        assert part in str(caught.value)


def test_a_layout_can_be_extended_with_a_column_of_ones_own(tmp_path):
    file = tmp_path / "sf.yaml"
    file.write_text(
        "layout: salesforce\npath: x/{date}\nobjects: {Contact: {maps: {party: {columns: {tags: Segment__c}}}}}"
    )
    columns = load_source(file).objects["Contact"].maps["party"].columns
    assert columns["tags"].column == ("Segment__c",)
    assert "email" in columns


def test_every_built_in_layout_is_valid(tmp_path):
    assert {"fxiaoke", "salesforce", "sap"} <= set(layouts())
    for layout in layouts():
        file = tmp_path / f"{layout}.yaml"
        file.write_text(f"layout: {layout}\npath: x/{{date}}\n")
        assert load_source(file).objects


def test_the_settings_and_source_files_shown_to_users_are_valid(tmp_path):
    root = Path(__file__).parents[1]
    pages = [page.read_text(encoding="utf-8") for page in (root / "README.md", *sorted((root / "docs").glob("*.md")))]
    blocks = [block.split("```")[0] for page in pages for block in page.split("```yaml\n")[1:]]
    kinds = {"sources": [], "crm_quality.yaml": [], "survivorship.yaml": []}
    for block in blocks:
        kinds[block.split("\n")[0].split("/")[1]].append(block)
    assert [len(found) for found in kinds.values()] == [5, 5, 1]
    for number, block in enumerate(kinds["sources"]):
        file = tmp_path / f"source_{number}.yaml"
        file.write_text(block, encoding="utf-8")
        assert load_source(file).objects
    (tmp_path / "crm_quality.yaml").write_text("".join(kinds["crm_quality.yaml"]), encoding="utf-8")
    settings = open_project(tmp_path).settings
    assert settings.alerts.rules
    assert settings.contracts and settings.contracts.renews
    assert settings.audits["core.party"].every_days == 90
    assert settings.sales_process[1].required == ("amount", "close_date", "owner")
    assert settings.service_promises[0].answer_hours == 8
    (tmp_path / "survivorship.yaml").write_text(kinds["survivorship.yaml"][0], encoding="utf-8")
    with duckdb.connect() as con:
        con.execute("create schema meta")
        load_policy(con, tmp_path)
        assert con.execute("select count(*) from meta.survivorship_source").fetchone() == (2,)
