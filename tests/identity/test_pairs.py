"""From parties to clusters with a trained model: what is joined, what is kept apart, and that it can be repeated."""

import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.identity.customer_id import build_customer_xref
from crm_quality.identity.features import build_features
from crm_quality.identity.pairs import build_pairs, train
from crm_quality.identity.review import build_review_queue
from tests.identity.scenario import company, person, run_pairs_and_clusters, together, warehouse

_GIVEN = [
    "anna",
    "bruno",
    "clara",
    "david",
    "elena",
    "frank",
    "greta",
    "henry",
    "irene",
    "jakob",
    "karin",
    "lukas",
    "maria",
    "nora",
    "oskar",
    "paula",
]
_FAMILY = [
    "adler",
    "becker",
    "conrad",
    "dietrich",
    "ebert",
    "fischer",
    "graf",
    "huber",
    "jung",
    "keller",
    "lorenz",
    "maier",
    "neumann",
    "otto",
    "pohl",
]


def _crowd(people: int = 120) -> list[dict[str, Any]]:
    """People who are on record twice: of one half the e-mail, of the other the mobile number is the same."""
    chooser = random.Random(7)
    parties = []
    for number in range(people):
        given, family = chooser.choice(_GIVEN), f"{chooser.choice(_FAMILY)}{'aeiou'[number % 5]}"
        fields = {
            "birth_date": f"{1950 + number % 50}-{1 + number % 12:02}-{2 + number % 27:02}",
            "street": f"Street {number}",
            "city": chooser.choice(["Leeds", "York", "Hull"]),
            "postal_code": f"{10000 + number}",
        }
        shared = {"email": f"p{number}x{number:03}@mail.org"} if number % 2 else {"mobile": f"+44790000{number:04}"}
        parties.append(person(f"a{number:03}", given, family, **fields, **shared))
        parties.append(person(f"b{number:03}", given, family, source_object="Lead", city=fields["city"], **shared))
    return parties


_CASES = [
    # Father and son: one name, one address, one landline.
    person(
        "father",
        "Walter",
        "Quast",
        birth_date="1950-03-04",
        street="Oak Road 1",
        postal_code="77777",
        phone="+441130000001",
    ),
    person(
        "son",
        "Walter",
        "Quast",
        birth_date="1981-11-22",
        street="Oak Road 1",
        postal_code="77777",
        phone="+441130000001",
    ),
    # Perhaps father and son: nothing says that they are one but the name and the home.
    person("senior", "Emil", "Thorn", street="Ash Road 3", postal_code="77779", email="emil.t555@web.org"),
    person("junior", "Emil", "Thorn", street="Ash Road 3", postal_code="77779", mobile="+447911222333"),
    # No daughter is named after her mother.
    person("woman1", "Agathe", "Thiel", street="Bay Road 4", postal_code="77780", email="agathe555@web.org"),
    person("woman2", "Agathe", "Thiel", street="Bay Road 4", postal_code="77780", gender="female"),
    # One mobile number, of which one record holds the beginning.
    person("whole", "Rufus", "Ibarra", street="Cliff Road 5", postal_code="77781", mobile="+447911123456"),
    person(
        "cut",
        "Rufus",
        "Ibarra",
        street="Cliff Road 5",
        postal_code="77781",
        mobile_raw="0044791112",
        mobile_problem="not valid for its country",
    ),
    # A man and what he is called.
    person("formal", "William", "Kestrel", city="York", mobile="+447955555555"),
    person("called", "Bill", "Kestrel", city="York", mobile="+447955555555"),
    # A couple: the family name, the address and the landline in common.
    person("wife", "Erika", "Rabe", street="Elm Road 2", postal_code="77778", phone="+441130000002"),
    person("husband", "Gustav", "Rabe", street="Elm Road 2", postal_code="77778", phone="+441130000002"),
    # Namesakes: a rare name, one city, and nothing else to say that they are one.
    person("namesake1", "Ottokar", "Zwirner", city="Leeds", email="ottokar001@web.org"),
    person("namesake2", "Ottokar", "Zwirner", city="Leeds"),
    # The same woman, her names in each other's field and a slip in her birth date.
    person("swapped1", "Valeria", "Yardley", birth_date="1977-05-16", mobile="+447999999999"),
    person("swapped2", "Yardley", "Valeria", birth_date="1977-05-17", mobile="+447999999999"),
    # One e-mail address, two national ids.
    person(
        "id1",
        "Ulla",
        "Xaver",
        email="ulla777@web.org",
        national_id="11010519491231002X",
        national_id_raw="11010519491231002X",
    ),
    person(
        "id2",
        "Ulla",
        "Xaver",
        email="ulla777@web.org",
        national_id="440524188001010014",
        national_id_raw="440524188001010014",
    ),
    # A record that its source has merged into another.
    person("gone", "T.", "Wagner", is_deleted=True, merged_into_source_id="kept"),
    person("kept", "Theresa", "Wagner-Holm", birth_date="1990-10-10"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def con(models: Path) -> duckdb.DuckDBPyConnection:
    con = warehouse(_crowd() + _CASES)
    report, _ = run_pairs_and_clusters(con, models)
    # The first run has no model: it trains one, and says so.
    assert [kind.trained for kind in report.kinds if kind.records] == [True]
    build_customer_xref(con)
    return con


def test_records_of_one_person_are_joined(con: duckdb.DuckDBPyConnection) -> None:
    joined = sum(together(con, f"a{number:03}", f"b{number:03}") for number in range(120))
    assert joined >= 118


def test_records_of_different_people_are_not_joined(con: duckdb.DuckDBPyConnection) -> None:
    largest = con.execute(
        "select max(n) from (select count(*) as n from identity.cluster group by cluster_number)"
    ).fetchone()
    assert largest == (2,)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("father", "son"),
        ("senior", "junior"),
        ("wife", "husband"),
        ("namesake1", "namesake2"),
        ("id1", "id2"),
    ],
)
def test_related_people_and_namesakes_stay_apart(con: duckdb.DuckDBPyConnection, left: str, right: str) -> None:
    assert not together(con, left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [("swapped1", "swapped2"), ("gone", "kept"), ("woman1", "woman2"), ("whole", "cut"), ("formal", "called")],
)
def test_one_person_written_in_two_ways_is_joined(con: duckdb.DuckDBPyConnection, left: str, right: str) -> None:
    assert together(con, left, right)


def test_every_pair_has_a_reason_in_words(con: duckdb.DuckDBPyConnection) -> None:
    reasons = dict(
        con.execute(
            "select source_id, reason from identity.pair join identity.record on record_number = record_number_l"
            " where source_id in ('swapped1', 'gone')"
        ).fetchall()
    )
    assert reasons["swapped1"] == "same name but for a slip or the order, similar birth date, same mobile" or (
        reasons["swapped1"].startswith("same name")
    )
    assert reasons["gone"].startswith("merged by the source")


def test_the_steps_of_a_doubtful_pair_add_up_to_its_weight(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute(
        "select match_weight, waterfall from identity.pair where waterfall is not null and match_key <> 'certain 1'"
    ).fetchall()
    assert rows
    for weight, steps in rows:
        assert steps[0]["step"] == "before any comparison"
        assert sum(step["bits"] for step in steps) == pytest.approx(weight, abs=0.1)


def test_the_review_queue_shows_what_conflicts_hold_apart(con: duckdb.DuckDBPyConnection) -> None:
    build_review_queue(con)
    reasons = con.execute(
        "select reasons, status from identity.review_queue where left_source_id = 'id1' and right_source_id = 'id2'"
    ).fetchall()
    assert len(reasons) == 1
    assert reasons[0][0].startswith("kept apart because of different national ids: same name")
    assert reasons[0][1] == "open"


def test_the_connection_is_left_as_it_was(con: duckdb.DuckDBPyConnection) -> None:
    assert con.execute("select current_schema()").fetchone() == ("main",)
    leftovers = con.execute("select table_name from duckdb_tables() where database_name = 'identity_work'").fetchall()
    assert leftovers == []


def test_another_row_order_gives_the_same_clusters_with_the_stored_model(
    con: duckdb.DuckDBPyConnection, models: Path
) -> None:
    parties = _crowd() + _CASES
    random.Random(1).shuffle(parties)
    other = warehouse(parties)
    report, _ = run_pairs_and_clusters(other, models)
    assert not any(kind.trained for kind in report.kinds)
    query = "select * from identity.{} order by all"
    for table in ("cluster", "pair", "conflict"):
        assert other.execute(query.format(table)).fetchall() == con.execute(query.format(table)).fetchall(), table


def test_the_order_of_sources_changes_neither_model_nor_clusters_nor_ids(tmp_path: Path) -> None:
    parties = [{**party, "source_system": ("crm", "erp")[at % 2]} for at, party in enumerate(_crowd(60))]
    found = []
    for first in ("crm", "erp"):
        ordered = sorted(parties, key=lambda party: party["source_system"] != first)
        with warehouse(ordered) as con:
            report, _ = run_pairs_and_clusters(con, tmp_path / first)
            build_customer_xref(con)
            tables = [
                con.execute(f"from identity.{name} order by all").fetchall() for name in ("pair", "customer_xref")
            ]
            found.append((report.model_version, tables))
    assert found[0] == found[1]


def test_training_twice_gives_the_same_model(con: duckdb.DuckDBPyConnection, models: Path, tmp_path: Path) -> None:
    (again,) = train(con, tmp_path)
    assert (models / f"person-{again.version}.json").exists()


def test_a_broken_model_is_named(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "person.json").write_text("{")
    with pytest.raises(CrmQualityError, match=r"person\.json: the match model cannot be read .* train a new one"):
        build_pairs(con, tmp_path)
    assert con.execute("select current_schema()").fetchone() == ("main",)


def _people_with_nothing_but_names() -> list[dict[str, Any]]:
    """Every given name with every family name, one such person twice, and one of a rare name twice."""
    parties = [person(f"{number}", _GIVEN[number % 16], _FAMILY[number % 15]) for number in range(240)]
    parties += [person("common", _GIVEN[0], _FAMILY[0])]
    return [*parties, person("only1", "Ximena", "Quillfeather"), person("only2", "Ximena", "Quillfeather")]


def test_names_alone_never_merge_persons_where_a_precision_is_to_be_kept(tmp_path: Path) -> None:
    con = warehouse(_people_with_nothing_but_names())
    _, report = run_pairs_and_clusters(con, tmp_path)
    assert report.clusters == report.records


def test_for_the_best_f1_equal_names_are_one_person_if_chance_would_hardly_make_them_equal(tmp_path: Path) -> None:
    con = warehouse(_people_with_nothing_but_names())
    _, report = run_pairs_and_clusters(con, tmp_path, "best_f1")
    assert together(con, "only1", "only2")
    assert not together(con, "0", "common")
    assert report.clusters == report.records - 1


def test_a_warehouse_without_parties_gives_empty_tables(tmp_path: Path) -> None:
    con = warehouse([])
    report, clusters = run_pairs_and_clusters(con, tmp_path)
    build_customer_xref(con)
    assert build_review_queue(con) == 0
    assert (report.pairs, clusters.clusters) == (0, 0)
    assert report.model_version == ""


_TRADES = ["works", "trading", "logistics", "energy"]
_BRANDS = ["acme", "borealis", "cirrus", "dynamo", "electra", "fulgor", "granit", "helios", "indigo", "jupiter"]


def _companies() -> list[dict[str, Any]]:
    parties = []
    for number in range(60):
        brand = f"{_BRANDS[number % 10]} {'xyzvwq'[number // 10] * 3}{number}"
        fields = {"phone": f"+44113{number:06}", "city": "Leeds", "postal_code": f"LS{number}", "region": "Yorkshire"}
        parties.append(company(f"a{number:02}", brand, **fields, street=f"Mill Lane {number}"))
        parties.append(company(f"b{number:02}", brand, source_object="Customer", **fields))
    return parties


def test_companies_are_joined_and_groups_and_neighbours_are_not(tmp_path: Path) -> None:
    site = {"phone": "+441139999999", "street": "Dock Street 5", "city": "Hull", "postal_code": "HU1"}
    parties = [
        *_companies(),
        company("parent", "zenith", tax_id="GB111111111", tax_id_raw="GB111111111", **site),
        company("subsidiary", "zenith", tax_id="GB222222222", tax_id_raw="GB222222222", **site),
        company("neighbour", "kaleidoscope", **site),
        company("head", "orbital", city="York", postal_code="YO1"),
        company("branch", "orbital", company_is_branch=True, city="York", postal_code="YO1", phone="+441904000001"),
        company("same1", "pinnacle", tax_id="GB333333333", tax_id_raw="GB333333333"),
        company("same2", "summit", tax_id="GB333333333", tax_id_raw="GB333333333"),
    ]
    con = warehouse(parties)
    run_pairs_and_clusters(con, tmp_path)
    assert sum(together(con, f"a{number:02}", f"b{number:02}") for number in range(60)) >= 58
    assert not together(con, "parent", "subsidiary")
    assert not together(con, "neighbour", "parent")
    assert not together(con, "neighbour", "subsidiary")
    assert not together(con, "head", "branch")
    assert together(con, "same1", "same2")  # renamed, as its tax id says


def test_features_are_rebuilt_from_their_sql_files(con: duckdb.DuckDBPyConnection) -> None:
    build_features(con)
    assert con.execute("select count(*) from identity.record").fetchone() == (260,)


def test_where_companies_have_nothing_but_names_equal_names_are_one(tmp_path: Path) -> None:
    names = [f"{brand} {'xyzvwq'[number] * 3}{number}" for brand in _BRANDS for number in range(6)]
    parties = [company(f"{place}{number}", name) for number, name in enumerate(names) for place in "ab"]
    parties += [company(f"often{number}", "acme works") for number in range(150)]
    con = warehouse(parties)
    _, report = run_pairs_and_clusters(con, tmp_path)
    assert report.clusters == len(names) + 1
    assert together(con, *(f"often{number}" for number in range(150)))


def test_a_slip_in_a_word_of_a_company_name_and_a_space_count_little_and_another_word_counts(tmp_path: Path) -> None:
    parties = [company(f"{brand}{trade}", f"{brand} {trade}") for brand in _BRANDS for trade in _TRADES]
    parties += [company("right", "kaleidoscope logistics"), company("slip", "kaliedoscope logistics")]
    parties += [company("other", "periscope logistics")]
    parties += [company("spaced", "d s m"), company("unspaced", "dsm")]
    con = warehouse(parties)
    _, report = run_pairs_and_clusters(con, tmp_path, "best_f1")
    assert together(con, "right", "slip")
    assert together(con, "spaced", "unspaced")
    assert report.clusters == len(parties) - 2


def test_a_word_of_a_company_name_and_its_abbreviation_are_alike(tmp_path: Path) -> None:
    parties = [company(f"{brand}{trade}", f"{brand} {trade}") for brand in _BRANDS for trade in _TRADES]
    parties += [company("whole", "hunter douglas industries"), company("abbreviated", "hunter douglas ind")]
    parties += [company("another", "hunter douglas metals")]
    con = warehouse(parties)
    _, report = run_pairs_and_clusters(con, tmp_path, "best_f1")
    assert together(con, "whole", "abbreviated")
    assert report.clusters == len(parties) - 1


def test_what_a_japanese_company_name_spells_in_kana_tells_it_from_others(tmp_path: Path) -> None:
    trades = {"電機": "dian ji", "自動車": "zi dong che", "食品工業": "shi pin gong ye"}
    parties = [
        company(f"{kana}{trade}", f"{kana}{trade}", company_key=f"{kana} {pinyin}")
        for kana in ("ヤマダ", "タカラ", "オムロン", "サクラ", "ミドリ")
        for trade, pinyin in trades.items()
    ]
    _, report = run_pairs_and_clusters(warehouse(parties), tmp_path, "best_f1")
    assert report.clusters == len(parties)


def test_company_names_that_differ_in_a_number_or_only_sound_the_same_are_others(tmp_path: Path) -> None:
    parties = [company(f"{brand}{trade}", f"{brand} {trade}") for brand in _BRANDS for trade in _TRADES]
    parties += [company("12", "kaleidoscope drugstore 12"), company("21", "kaleidoscope drugstore 21")]
    parties += [company("ii", "periscope equity fund ii"), company("iii", "periscope equity fund iii")]
    parties += [company("tai4", "亚太", company_key="ya tai"), company("tai4 too", "亚泰", company_key="ya tai")]
    con = warehouse(parties)
    _, report = run_pairs_and_clusters(con, tmp_path, "best_f1")
    assert report.clusters == len(parties)
