"""Pairwise and B-cubed figures, worked out by hand."""

import json
from pathlib import Path

import duckdb
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.evaluate import evaluate, write_report

_HEADER = "source_system,source_object,source_id,entity_id\n"


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """Customers {1, 2, 3}, {4, 5}, {6} of persons and {7} of an organisation."""
    con = duckdb.connect()
    con.execute("create schema golden")
    con.execute(
        "create table golden.customer_xref (customer_id varchar, source_system varchar, source_object varchar, source_id varchar)"
    )
    for customer, records in {"A": "123", "B": "45", "C": "6", "D": "7"}.items():
        for record in records:
            con.execute("insert into golden.customer_xref values (?, 'crm', 'Contact', ?)", [customer, record])
    return con


def _truth(folder: Path, entities: dict[str, str]) -> Path:
    file = folder / "entity.csv"
    lines = [f"crm,Contact,{record},{entity}\n" for entity, records in entities.items() for record in records]
    file.write_text(_HEADER + "".join(lines))
    return file


def test_the_figures_of_a_hand_worked_example(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    # Truth {1, 2}, {3, 4, 5}, {6}, {7}. Pairs claimed: 12, 13, 23, 45; true: 12, 34, 35, 45; both: 12, 45.
    found = evaluate(con, _truth(tmp_path, {"x": "12", "y": "345", "z": "6", "o": "7"})).overall
    assert (found.true_pairs, found.false_pairs, found.missed_pairs) == (2, 2, 2)
    assert (found.pairwise_precision, found.pairwise_recall, found.pairwise_f1) == (0.5, 0.5, 0.5)
    # B-cubed precision: (2/3 + 2/3 + 1/3 + 1 + 1 + 1 + 1) / 7; recall: (1 + 1 + 1/3 + 2/3 + 2/3 + 1 + 1) / 7.
    assert found.b_cubed_precision == pytest.approx(17 / 21, abs=1e-6)
    assert found.b_cubed_recall == pytest.approx(17 / 21, abs=1e-6)
    assert (found.records, found.customers, found.entities) == (7, 4, 4)


def test_party_types_are_told_apart_where_customers_are_known(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute(
        "create table golden.customer as select unnest(['A', 'B', 'C', 'D']) as customer_id,"
        " unnest(['person', 'person', 'person', 'organisation']) as party_type"
    )
    found = evaluate(con, _truth(tmp_path, {"x": "123", "y": "45", "z": "6", "o": "7"}))
    assert set(found.by_party_type) == {"person", "organisation"}
    assert found.by_party_type["person"].pairwise_f1 == 1.0
    # Nothing claimed and nothing to find is without error.
    assert found.by_party_type["organisation"].pairwise_f1 == 1.0


def test_records_on_one_side_only_are_counted_and_left_out(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = evaluate(con, _truth(tmp_path, {"x": "12", "new": "8"}))
    assert (found.records_without_truth, found.truth_without_record) == (5, 1)
    assert (found.overall.records, found.overall.pairwise_f1) == (2, 1.0)


def test_an_evaluation_is_written_as_json(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    text = evaluate(con, _truth(tmp_path, {"x": "123"})).to_json()
    assert json.loads(text)["overall"]["true_pairs"] == 3


def _scored(con: duckdb.DuckDBPyConnection, *pairs: tuple[str, str, float]) -> None:
    con.execute("create schema identity")
    con.execute(
        "create table identity.record as"
        " select source_id::bigint as record_number, 'crm' as source_system, 'Contact' as source_object, source_id"
        " from golden.customer_xref"
    )
    con.execute(
        "create table identity.pair (record_number_l bigint, record_number_r bigint, match_weight double, reason varchar)"
    )
    for left, right, weight in pairs:
        con.execute("insert into identity.pair values (?, ?, ?, 'same name')", [left, right, weight])


def test_figures_by_source_pair_add_up_to_all(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute("update golden.customer_xref set source_system = 'erp' where source_id in ('3', '5')")
    file = _truth(tmp_path, {"x": "12", "y": "345", "z": "6", "o": "7"})
    file.write_text(
        file.read_text().replace("crm,Contact,3", "erp,Contact,3").replace("crm,Contact,5", "erp,Contact,5")
    )
    found = evaluate(con, file)
    pairs = {(one.left_system, one.right_system): one for one in found.by_source_pair}
    # Within crm: 12 right. Between: 45 right; 13 and 23 wrong; 34 missed. Within erp: 35 missed.
    counts = {key: (one.true_pairs, one.false_pairs, one.missed_pairs) for key, one in pairs.items()}
    assert counts == {("crm", "crm"): (1, 0, 0), ("crm", "erp"): (1, 2, 1), ("erp", "erp"): (0, 0, 1)}
    assert sum(one.missed_pairs for one in found.by_source_pair) == found.overall.missed_pairs


def test_the_curve_and_the_mistakes_name_the_evidence(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    _scored(con, ("1", "2", 9.0), ("1", "3", 4.2), ("4", "5", 4.0), ("3", "4", -2.0))
    found = evaluate(con, _truth(tmp_path, {"x": "12", "y": "345", "z": "6", "o": "7"}))
    assert [(point.match_weight, point.precision, point.recall) for point in found.threshold_curve] == [
        (9.0, 1.0, 0.25),
        (4.0, 0.666667, 0.5),
        (-2.0, 0.75, 0.75),
    ]
    (merge,) = found.false_merges
    assert (merge.name, merge.groups, merge.wrong_pairs, merge.left, merge.right, merge.match_weight) == (
        "A", 2, 2, "crm/Contact/1", "crm/Contact/3", 4.2,
    )  # fmt: skip
    (miss,) = found.misses
    assert (miss.name, miss.wrong_pairs, miss.left, miss.right, miss.reason) == (
        "y", 2, "crm/Contact/3", "crm/Contact/4", "same name",
    )  # fmt: skip
    files = {file.name: file for file in write_report(found, tmp_path / "report")}
    assert files["threshold_curve.png"].read_bytes().startswith(b"\x89PNG")
    assert "precision" in files["threshold_curve.svg"].read_text()
    assert files["misses.csv"].read_text().splitlines()[1].startswith("y,3,2,2,crm/Contact/3,crm/Contact/4")


def test_a_pair_that_was_never_compared_says_so(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (miss,) = evaluate(con, _truth(tmp_path, {"x": "67"})).misses
    assert (miss.left, miss.right, miss.reason) == ("crm/Contact/6", "crm/Contact/7", "never compared")


def test_ghosts_and_related_parties_are_measured_where_their_truth_lies_beside(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    con.execute(
        "create schema quality; create table quality.ghost_verdict as select 'crm' as source_system,"
        " 'Contact' as source_object, unnest(['1', '2', '3']) as source_id,"
        " unnest(['ghost', 'ghost', 'suspect']) as verdict"
    )
    (tmp_path / "ghost.csv").write_text(
        "source_system,source_object,source_id,kind\ncrm,Contact,1,test\ncrm,Contact,3,mash\n"
    )
    (tmp_path / "relation.csv").write_text("entity_id,related_entity_id,kind\nx,y,namesake\ny,z,namesake\n")
    found = evaluate(con, _truth(tmp_path, {"x": "12", "y": "345", "z": "6", "o": "7"}))
    assert found.ghosts is not None
    assert (found.ghosts.precision, found.ghosts.recall) == (0.5, 0.5)
    assert found.ghosts.recall_by_kind == {"mash": 0.0, "test": 1.0}
    assert (found.ghosts.false_ghosts, found.ghosts.missed_ghosts) == (["crm/Contact/2"], ["crm/Contact/3 (mash)"])
    # Record 3 of y is with 1 and 2 of x.
    (relation,) = found.relations
    assert (relation.kind, relation.related, relation.merged) == ("namesake", 2, 1)
    assert "namesake: 1 of 2" in str(found)


def test_a_published_file_is_evaluated_without_being_locked(tmp_path: Path) -> None:
    file = tmp_path / "published.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("create schema golden")
        con.execute(
            "create table golden.customer_xref as select 'A' as customer_id, 'crm' as source_system,"
            " 'Contact' as source_object, '1' as source_id"
        )
    assert evaluate(file, _truth(tmp_path, {"x": "1"})).overall.records == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("source_system,source_object,source_id\ncrm,Contact,1\n", "no column entity_id"),
        (_HEADER + "crm,Contact,1,x\ncrm,Contact,1,y\n", "record crm Contact 1 is named more than once"),
    ],
)
def test_a_truth_file_that_cannot_be_used_says_why(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "entity.csv"
    file.write_text(content)
    with pytest.raises(CrmQualityError, match=message):
        evaluate(con, file)


def test_missing_files_are_named(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(CrmQualityError, match=r"entity\.csv does not exist"):
        evaluate(con, tmp_path / "entity.csv")
    with pytest.raises(CrmQualityError, match=r"published.duckdb does not exist"):
        evaluate(tmp_path / "published.duckdb", tmp_path / "entity.csv")
