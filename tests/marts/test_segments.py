"""How customers are sorted. Belongs here: segments.yaml and the tables that read it. Does not: churn, value."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.marts.recommendation import build_recommendations
from crm_quality.marts.segments import build_customer_tag, load_segments, write_segments
from tests.golden.scenario import Row, build, fill, insert, record, rows, warehouse
from tests.marts.scenario import EXTRACT_DATE, order, value


def ago(days: int) -> object:
    return EXTRACT_DATE - timedelta(days=days)


def points(source_id: str, kind: str, amount: float, days: int) -> Row:
    return {
        **{"source_system": "crm", "source_object": "Points", "source_id": source_id, "party_source_id": "loyal"},
        **{"kind": kind, "points": amount, "happened_at": ago(days)},
    }


@pytest.fixture(scope="module")
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    """A loyal customer, one who came back, one who was brought by the first, a prospect and a lead."""
    key = {"source_system": "crm"}
    with warehouse() as con:
        names = ("loyal", "back", "brought", "prospect", "lead")
        fill(con, [record(name, name, full_name=name, industry="retail") for name in names])
        fill(con, [record("ghost", "ghost", verdict="ghost")])
        insert(
            con,
            "core.sales_order",
            *(order(f"l{days}", "loyal", ago(days), 50) for days in (1, 30, 60, 90, 120, 150, 800)),
            *(order(f"b{days}", "back", ago(days), 20) for days in (3, 700)),
            order("r5", "brought", ago(5), 30),
        )
        insert(
            con,
            "core.opportunity",
            {
                **key,
                "source_object": "Opportunity",
                "source_id": "o1",
                "party_source_id": "prospect",
                "created_at": ago(9),
            },
        )
        insert(
            con,
            "core.loyalty_event",
            points("p1", "earn", 400, 500),
            points("p2", "earn", 600, 30),
            points("p3", "burn", 250, 10),
            points("p4", "adjust", 20, 5),
        )
        insert(
            con,
            "core.referral",
            {
                **key,
                "source_object": "Referral",
                "source_id": "r1",
                "party_source_id": "loyal",
                "referred_source_id": "brought",
                "status": "Invited",
                "referred_at": ago(20),
            },
        )
        insert(
            con,
            "core.interaction",
            *(
                {
                    **key,
                    "source_object": "Task",
                    "source_id": f"t{days}",
                    "party_source_id": "loyal",
                    "channel": channel,
                    "happened_at": ago(days),
                    "is_deleted": False,
                }
                for days, channel in ((2, "电话"), (9, "Call"), (40, "Email"))
            ),
        )
        insert(
            con,
            "core.survey_response",
            *(
                {
                    **key,
                    "source_object": "Survey",
                    "source_id": f"s{days}",
                    "party_source_id": "loyal",
                    "kind": "CSAT",
                    "score": score,
                    "comment": comment,
                    "responded_at": ago(days),
                }
                for days, score, comment in (
                    (5, 1, "配件等太久"),
                    (400, 5, "Deliveries are FAST"),
                    (6, 3, "undeliverable"),
                )
            ),
        )
        write_segments(con, load_segments(Path("no folder of its own")))
        build(con, "golden.customer_xref", "golden.customer_lineage", "golden.customer_child", "golden.customer")
        build(con, "golden.customer_relation", "marts.customer_order", "marts.purchase_summary")
        value(con)
        build(con, "marts.customer_timeline", "marts.customer_engagement", "marts.loyalty_account", "marts.referral")
        build_recommendations(con)
        build(
            con, "marts.customer_stage_history", "marts.customer_segment", "marts.customer_theme", "marts.customer_360"
        )
        yield con


def by_customer(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, Row]:
    return {row["customer_id"]: row for row in rows(con, f"from {table}")}


def test_every_customer_but_a_ghost_has_a_stage(shop: duckdb.DuckDBPyConnection) -> None:
    stages = {name: row["lifecycle_stage"] for name, row in by_customer(shop, "marts.customer_segment").items()}
    assert stages == {
        "loyal": "loyal", "back": "won back", "brought": "new", "prospect": "prospect", "lead": "lead",
    }  # fmt: skip


def test_points_make_a_balance_and_those_of_a_year_a_tier(shop: duckdb.DuckDBPyConnection) -> None:
    account = by_customer(shop, "marts.loyalty_account")["loyal"]
    assert (account["balance"], account["earned"], account["burnt"], account["adjusted"]) == (770, 1000, 250, 20)
    assert (account["tier"], account["next_tier"], account["points_to_next"]) == ("silver", "gold", 1400)


def test_a_referral_succeeds_with_an_order_and_brings_what_it_is_worth(shop: duckdb.DuckDBPyConnection) -> None:
    (found,) = rows(shop, "from marts.referral")
    assert (found["customer_id"], found["referred_customer_id"]) == ("loyal", "brought")
    assert (found["is_success"], found["orders"], found["value_brought"], found["currency"]) == (True, 1, 30, "EUR")


def test_the_channel_of_most_contacts_is_preferred_under_one_name(shop: duckdb.DuckDBPyConnection) -> None:
    found = by_customer(shop, "marts.customer_engagement")
    assert found["loyal"]["preferred_channel"] == "call"
    assert found["loyal"]["contacts_365"] == 3
    assert found["loyal"]["engagement_score"] > found["back"]["engagement_score"] > 0


def test_themes_are_found_by_words_of_either_language_from_the_beginning_of_a_word(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    found = {row["theme"]: row for row in rows(shop, "from marts.customer_theme where customer_id = 'loyal'")}
    assert set(found) == {"delivery", "spare parts"}
    delivery = found["delivery"]
    assert (delivery["mentions"], delivery["mentions_365"], delivery["satisfaction"]) == (2, 1, 0.6)
    assert (delivery["last_mentioned_on"], delivery["last_text"]) == (ago(5), "配件等太久")


def test_the_wide_table_has_a_row_for_everybody(shop: duckdb.DuckDBPyConnection) -> None:
    found = by_customer(shop, "marts.customer_360")
    assert set(found) == {"loyal", "back", "brought", "prospect", "lead", "ghost"}
    assert (found["loyal"]["orders"], found["loyal"]["last_ordered_on"]) == (7, ago(1))
    assert (found["prospect"]["open_opportunities"], found["prospect"]["orders"]) == (1, 0)
    assert (found["loyal"]["main_theme"], found["loyal"]["recommended_product"]) == ("delivery", None)
    assert (found["loyal"]["referrals"], found["loyal"]["loyalty_tier"]) == (1, "silver")


def test_tags_follow_conditions_and_values(shop: duckdb.DuckDBPyConnection) -> None:
    build_customer_tag(shop, load_segments(Path("no folder of its own")))
    found = {(row["customer_id"], row["tag"]) for row in rows(shop, "from marts.customer_tag")}
    assert ("prospect", "potential") in found
    assert ("lead", "potential") not in found
    assert ("lead", "industry: retail") in found


def test_a_project_declares_its_own_rules(shop: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "segments.yaml").write_text("tags: [{tag: many, when: 'orders >= 3'}]\n")
    segments = load_segments(tmp_path)
    assert len(segments.tiers) == 3
    assert build_customer_tag(shop, segments) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tags: [{tag: x, when: 'no_such_column > 1'}]", r"tag 'x': .*no_such_column"),
        ("tags: [{tag: x, when: '1 in (select 1)'}]", r"tag 'x': a condition may not hold a query"),
        ("tags: [{tag: x}]", r"segments.yaml.*\n.*tags.0.*give either when or each"),
        ("tiers: []", r"segments.yaml.*\n.*tiers"),
        ("segments: []", r"segments.yaml.*\n.*segments.*remove it or correct its name"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_by_name(
    shop: duckdb.DuckDBPyConnection, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "segments.yaml").write_text(text)
    with pytest.raises(CrmQualityError, match=message):
        build_customer_tag(shop, load_segments(tmp_path))
