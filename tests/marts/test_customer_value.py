"""What the purchase models find and predict. Belongs here: value, risk, fallbacks. Does not: orders."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.special import betaln, gammaln

from crm_quality.marts import purchase_model
from crm_quality.marts.customer_value import ANNUAL_DISCOUNT_RATE
from tests.golden.scenario import Row, on_day, rows
from tests.marts.scenario import (
    EXTRACT_DATE,
    bought,
    build,
    customers,
    golden_customers,
    insert,
    order,
    population,
    value,
    warehouse,
)

CONTRACT = [
    "customer_id", "as_of_date", "frequency", "recency_days", "tenure_days", "monetary_value",
    "probability_alive", "expected_purchases_12m", "expected_order_value", "clv_12m", "currency",
    "model_version",
]  # fmt: skip
OWN_MODELS = "bg-nbd 1 / gamma-gamma 1"
PERSONS = [*population(800, "EUR", 1), *population(200, "JPY", 2, "j", unit=150)]
END_OF_CDNOW = date(1997, 9, 30)


@pytest.fixture(scope="module")
def cdnow(real_data: Path) -> duckdb.DuckDBPyConnection:
    """CDNOW's customers from orders to marts, as of the end of the period that the paper fits."""
    con = warehouse()
    on_day(con, END_OF_CDNOW)
    con.execute(
        """
        insert into core.sales_order by name
        select 'crm' as source_system, 'Order' as source_object, row_number() over () as source_id,
            masterid::varchar as party_source_id, strptime(date::varchar, '%Y%m%d')::date as ordered_on,
            sales as amount, 'USD' as currency, false as is_cancelled
        from read_csv(?)
        """,
        [str(real_data / "cdnow" / "cdnow_sample_calibration.csv")],
    )
    con.execute(
        """
        insert into identity.customer_xref by name
        select distinct party_source_id as customer_id, 'crm' as source_system, 'Contact' as source_object,
            party_source_id as source_id from core.sales_order
        """
    )
    golden_customers(con, "select customer_id from identity.customer_xref")
    build(con, "golden.customer_xref", "golden.customer_child", "marts.customer_order", "marts.purchase_summary")
    value(con)
    return con


@pytest.fixture(scope="module")
def shop() -> duckdb.DuckDBPyConnection:
    """A shop of many persons, some of whom pay in a currency of other units, and hardly an organisation."""
    con = warehouse()
    few = [("org1", EXTRACT_DATE - timedelta(days=days), 10.0, None) for days in (200, 100)]
    bought(con, [*PERSONS, *few])
    value(con)
    return con


def one(con: duckdb.DuckDBPyConnection, query: str) -> Row:
    (row,) = rows(con, query)
    return row


def test_cdnow_gives_the_published_purchase_model(cdnow: duckdb.DuckDBPyConnection) -> None:
    # Fader, Hardie and Lee (2005), table 2; weeks
    published = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    assert one(cdnow, "select r, alpha, a, b from marts.purchase_model") == pytest.approx(published, rel=0.01)


def test_cdnow_gives_the_published_value_model(cdnow: duckdb.DuckDBPyConnection) -> None:
    # Fader and Hardie (2013), section 5: p = 6.25, q = 3.74, v = 15.44 on 946 repeat customers
    published = {"p": 6.25, "q": 3.74, "v": 15.44}
    assert one(cdnow, "select p, q, v from marts.purchase_model") == pytest.approx(published, rel=0.01)
    assert one(cdnow, "select repeat_customers as n from marts.purchase_model")["n"] == pytest.approx(946, abs=2)


def test_cdnow_customers_have_the_published_expectations(cdnow: duckdb.DuckDBPyConnection) -> None:
    # Fader, Hardie and Lee (2005), section 4: 1.226 purchases in 39 weeks after x = 2, t_x = 30.43, T = 38.86
    model = one(cdnow, "select r, alpha, a, b from marts.purchase_model")
    history = pd.DataFrame({"frequency": [2], "recency": [30.43], "T": [38.86]})
    assert purchase_model.expected_purchases(purchase_model.purchases_of(model), history, 39) == pytest.approx(
        [1.226], rel=0.01
    )


def test_the_columns_are_those_of_the_contract(shop: duckdb.DuckDBPyConnection) -> None:
    columns = [row[0] for row in shop.execute("describe marts.customer_value").fetchall()]
    assert columns[: len(CONTRACT)] == CONTRACT


def test_the_next_order_comes_before_its_date_with_the_probability_that_is_promised(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    model = one(shop, "from marts.purchase_model where currency = 'EUR'")
    found = rows(shop, "from marts.customer_value where currency = 'EUR' and customer_id like '%3'")
    for row in found:
        for column, share in (("next_order_from", 0.1), ("next_order_on", 0.5), ("next_order_until", 0.9)):
            if row[column] is None:
                continue
            days = (row[column] - EXTRACT_DATE).days
            since = model["alpha"] + row["tenure_days"] / 7
            silent = (since / (since + days / 7)) ** (model["r"] + row["frequency"])
            # a date is a whole day
            assert 1 - silent == pytest.approx(share, abs=0.5 / 7 * (model["r"] + row["frequency"]) / since)
    assert any(row["next_order_on"] for row in found)


def test_the_amount_of_the_next_order_has_a_range_around_what_is_expected(shop: duckdb.DuckDBPyConnection) -> None:
    for row in rows(shop, "from marts.customer_value where customer_id <> 'org1'"):
        assert 0 < row["next_order_value_low"] < row["expected_order_value"] < row["next_order_value_high"]
    (alone,) = rows(shop, "from marts.customer_value where customer_id = 'org1'")
    assert alone["next_order_value_low"] is None


def test_every_customer_with_orders_is_valued_once_and_nobody_else(shop: duckdb.DuckDBPyConnection) -> None:
    query = "select customer_id from {} order by customer_id"
    expected = shop.execute(query.format("(select distinct customer_id from marts.customer_order)")).fetchall()
    assert len(expected) == 1001
    for table in ("marts.customer_value", "marts.churn_risk"):
        assert shop.execute(query.format(table)).fetchall() == expected


def test_the_models_find_how_customers_behave(shop: duckdb.DuckDBPyConnection) -> None:
    model = one(shop, "from marts.purchase_model where currency = 'EUR'")
    assert (model["model_version"], model["remark"], model["customers"]) == (OWN_MODELS, None, 800)
    # Standard errors at this size are some 10 % of r and 20 % of alpha; a and b go together.
    assert model["r"] == pytest.approx(0.6, rel=0.3)
    assert model["alpha"] == pytest.approx(6, rel=0.5)
    assert model["a"] / (model["a"] + model["b"]) == pytest.approx(0.8 / 3.3, rel=0.3)
    assert model["v"] * model["p"] / (model["q"] - 1) == pytest.approx(15 * 6 / 3, rel=0.15)


def test_currencies_share_how_people_buy_and_keep_their_own_amounts(shop: duckdb.DuckDBPyConnection) -> None:
    query = "select r, alpha, a, b, p, q from marts.purchase_model where currency = '{}'"
    assert one(shop, query.format("JPY")) == one(shop, query.format("EUR"))
    query = "select avg(expected_order_value) as mean from marts.customer_value where currency = '{}'"
    yen, euro = (one(shop, query.format(currency))["mean"] for currency in ("JPY", "EUR"))
    assert yen / euro == pytest.approx(150, rel=0.15)


def test_a_party_type_with_few_customers_borrows_the_purchase_model_and_says_so(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    row = one(shop, "from marts.customer_value where customer_id = 'org1'")
    assert row["model_version"] == "bg-nbd 1 of persons / observed mean"
    assert (row["currency"], row["expected_order_value"]) == (None, 10.0)
    remark = one(shop, "from marts.purchase_model where party_type = 'organisation'")["remark"]
    assert "no purchase model of its own: 1 repeat customers, 100 needed" in remark


def test_value_is_the_expected_purchases_times_their_value_discounted(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    for row in rows(shop, "from marts.customer_value where expected_purchases_12m > 0.1"):
        undiscounted = row["expected_purchases_12m"] * row["expected_order_value"]
        # somewhere between all of it now and all of it at the end of the year
        assert undiscounted / (1 + ANNUAL_DISCOUNT_RATE) - 0.01 < row["clv_12m"] < undiscounted + 0.01


def test_one_time_buyers_are_alive_to_the_model_yet_not_sure_to_buy_again(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    found = one(
        shop,
        """
        select min(value.probability_alive) as alive, min(risk.churn_probability) as least,
            count(*) as customers
        from marts.customer_value as value join marts.churn_risk as risk using (customer_id)
        where value.frequency = 0 and value.tenure_days > 300
        """,
    )
    assert found["customers"] > 100
    assert (found["alive"], found["least"] > 0.3) == (1.0, True)


def log_likelihood(model: Row, frequency: int, recency: float, weeks: float) -> float:
    """Fader, Hardie and Lee (2005), equation 6, as printed."""
    r, alpha, a, b = (model[name] for name in ("r", "alpha", "a", "b"))
    common = gammaln(r + frequency) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
    stayed = betaln(a, b + frequency) - (r + frequency) * np.log(alpha + weeks)
    if frequency == 0:
        return float(common + stayed)
    left = betaln(a + 1, b + frequency - 1) - (r + frequency) * np.log(alpha + recency)
    return float(common + np.logaddexp(stayed, left))


def test_churn_is_the_likelihood_of_180_silent_days_more(shop: duckdb.DuckDBPyConnection) -> None:
    model = one(shop, "from marts.purchase_model where currency = 'EUR'")
    found = rows(
        shop,
        """
        from marts.customer_value join marts.churn_risk using (customer_id)
        where currency = 'EUR' and customer_id like '%7'
        """,
    )
    assert {0, 1, 2} < {row["frequency"] for row in found}
    for row in found:
        history = (row["frequency"], row["recency_days"] / 7)
        until_now = log_likelihood(model, *history, row["tenure_days"] / 7)
        later = log_likelihood(model, *history, (row["tenure_days"] + 180) / 7)
        assert row["churn_probability"] == pytest.approx(np.exp(later - until_now), abs=1e-5)


def test_bands_and_actions_follow_the_declared_rules(shop: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        shop,
        """
        select risk_band, suggested_action, min(churn_probability) as least, max(churn_probability) as most
        from marts.churn_risk group by all
        """,
    )
    bounds = {"low": (0, 0.4), "medium": (0.4, 0.7), "high": (0.7, 1)}
    allowed = {
        "low": {"none"},
        "medium": {"none", "coupon", "dedicated service"},
        "high": {"none", "coupon", "call"},
    }
    for row in found:
        least, most = bounds[row["risk_band"]]
        assert least <= row["least"] <= row["most"] <= most
        assert row["suggested_action"] in allowed[row["risk_band"]]
    assert {row["suggested_action"] for row in found} == {"none", "coupon", "dedicated service", "call"}


def test_an_action_saves_what_a_customer_who_stays_brings_and_a_coupon_costs_where_it_is_used(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    found = rows(
        shop, "from marts.churn_risk join marts.customer_value using (customer_id) where suggested_action <> 'none'"
    )
    cost, keeps = (
        {"call": 0.05, "coupon": 0.1, "dedicated service": 0.2},
        {"call": 0.1, "coupon": 0.08, "dedicated service": 0.2},
    )
    for row in found:
        action, leaves = row["suggested_action"], row["churn_probability"]
        # the value has the probability in it that the customer has left already; who stays orders at least once
        stays = max(row["expected_order_value"], row["clv_12m"] / max(row["probability_alive"], 0.001))
        used = 1 - leaves * (1 - keeps[action]) if action == "coupon" else 1
        saved = keeps[action] * leaves * stays - cost[action] * row["expected_order_value"] * used
        assert row["action_value"] == pytest.approx(saved, abs=0.02, rel=0.01)
    silent = [row for row in found if row["churn_probability"] > 0.9]
    assert len(silent) > 20, "those most in danger are worth the most effort"


def test_reasons_are_in_words(shop: duckdb.DuckDBPyConnection) -> None:
    assert one(shop, "from marts.churn_risk where customer_id = 'org1'")["top_reasons"].startswith(
        "no order for 100 days, usual gap 100 days"
    )


def test_the_order_and_company_of_the_purchases_play_no_part(shop: duckdb.DuckDBPyConnection) -> None:
    with warehouse() as con:
        bought(con, PERSONS[::-1])
        value(con)
        for query in (
            "from marts.purchase_model where party_type = 'person' order by currency",
            "from marts.customer_value where customer_id <> 'org1' order by customer_id",
            "from marts.churn_risk where customer_id <> 'org1' order by customer_id",
        ):
            assert rows(con, query) == rows(shop, query)


def test_too_few_customers_for_any_model_are_valued_by_what_they_did() -> None:
    with warehouse() as con:
        gone = [("a", EXTRACT_DATE - timedelta(days=7 * week), 20.0, "EUR") for week in (40, 30, 20)]
        bought(con, [*gone, ("b", EXTRACT_DATE, 5.0, "EUR")])
        report = value(con)
        assert report.models == {"person": "observed rate / observed mean"}
        found = {row["customer_id"]: row for row in rows(con, "from marts.customer_value")}
        risk = {row["customer_id"]: row for row in rows(con, "from marts.churn_risk")}
    assert found["a"]["probability_alive"] is None
    # alpha = (40 + 0 + 1) / (2 + 0 + 1) weeks, so a's rate is (1 + 2) / (41 / 3 + 40) a week
    assert found["a"]["expected_purchases_12m"] == pytest.approx(3 / (41 / 3 + 40) * 365.25 / 7, rel=1e-4)
    assert (found["a"]["expected_order_value"], found["b"]["expected_order_value"]) == (20.0, 5.0)
    assert risk["a"]["churn_probability"] < risk["b"]["churn_probability"] < 1
    assert risk["b"]["top_reasons"] == "one purchase only, 0 days ago; customer for only 0 days"


def test_no_orders_give_empty_marts() -> None:
    with warehouse() as con:
        bought(con, [])
        assert (value(con).customers, rows(con, "from marts.churn_risk")) == (0, [])


def test_a_fit_that_misses_what_happened_is_refused() -> None:
    frame = pd.DataFrame({"frequency": [1] * 300, "recency": [5.0] * 300, "T": [10.0] * 300})
    far_off = {"r": 5.0, "alpha": 1.0, "a": 0.5, "b": 5.0}
    fit = purchase_model.purchases_of(far_off)
    with pytest.raises(purchase_model.FitRefusedError, match="repeat purchases to date, there were 300"):
        purchase_model.check_calibration(fit, frame)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0, 1e9])
def test_a_parameter_that_ran_away_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(purchase_model.FitRefusedError, match=r"^alpha = "):
        purchase_model._check_bounds({"r": 0.5, "alpha": wrong})


def test_amounts_that_have_no_expected_value_are_refused() -> None:
    rng = np.random.default_rng(6)
    frequency = rng.integers(1, 9, 400)
    # breaks: with q = 0.7 the mean over customers does not exist
    amounts = rng.gamma(6 * frequency) / rng.gamma(0.7, 1 / 15, 400) / frequency
    frame = pd.DataFrame({"frequency": frequency, "monetary_value": amounts / np.median(amounts)})
    with pytest.raises(purchase_model.FitRefusedError, match="q = "):
        purchase_model.fit_values(frame)


def test_an_order_of_the_erp_reaches_value_and_risk() -> None:
    with warehouse() as con:
        customers(con, "a", source_system="erp")
        insert(
            con,
            "core.sales_order",
            order("1", "a", EXTRACT_DATE - timedelta(days=30), 10, source_system="erp"),
        )
        golden_customers(con, "select 'a' as customer_id")
        build(con, "golden.customer_xref", "golden.customer_child", "marts.customer_order", "marts.purchase_summary")
        value(con)
        assert [row["customer_id"] for row in rows(con, "from marts.churn_risk")] == ["a"]


def test_no_borrowed_model_hides_what_customers_did_themselves() -> None:
    with warehouse() as con:
        weekly = [("a", EXTRACT_DATE - timedelta(days=7 * week), 20.0, "EUR") for week in range(20)]
        bought(con, [*weekly, ("org1", EXTRACT_DATE - timedelta(days=300), 5.0, "EUR")])
        # Neither party type has a model to lend.
        assert set(value(con).models.values()) == {"observed rate / observed mean"}


def published_before(con: duckdb.DuckDBPyConnection, shop: duckdb.DuckDBPyConnection, days_ago: int) -> None:
    """What the shop's run published, as if it had been fitted and tested so many days ago."""
    for table, dated in (("purchase_model", "fitted_on"), ("model_backtest", "tested_on")):
        con.register("published", shop.execute(f"from marts.{table}").df())
        kept = ", ".join(name for name, *_ in con.execute(f"describe previous.{table}").fetchall())
        con.execute(f"insert into previous.{table} by name select {kept} from published")
        con.unregister("published")
        con.execute(f"update previous.{table} set {dated} = {dated} - {days_ago}")


def refuse(_customers: object) -> None:
    raise purchase_model.FitRefusedError("not in this test")


def test_models_predict_until_they_are_old_without_being_fitted_or_tested_again(
    shop: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_quality.marts.customer_value.fit_purchases", refuse)
    with warehouse() as con:
        bought(con, PERSONS)
        published_before(con, shop, days_ago=7)
        value(con)
        model = one(con, "from marts.purchase_model where currency = 'EUR'")
        assert (model["fitted_on"], model["remark"]) == (EXTRACT_DATE - timedelta(days=7), None)
        tested = {row["tested_on"] for row in rows(con, "from marts.model_backtest where model = 'value of persons'")}
        assert tested == {EXTRACT_DATE - timedelta(days=7)}
        query = "from marts.customer_value where currency = 'EUR' order by customer_id"
        assert [row["clv_12m"] for row in rows(con, query)] == pytest.approx(
            [row["clv_12m"] for row in rows(shop, query)], rel=1e-4
        )


def test_a_fit_that_fails_leaves_the_last_good_model_in_use_and_says_so(
    shop: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_quality.marts.customer_value.fit_purchases", refuse)
    with warehouse() as con:
        bought(con, PERSONS)
        published_before(con, shop, days_ago=60)
        value(con)
        model = one(con, "from marts.purchase_model where currency = 'EUR'")
    assert (model["fitted_on"], model["model_version"]) == (EXTRACT_DATE - timedelta(days=60), OWN_MODELS)
    assert model["remark"] == "the last good models: no purchase model of its own: not in this test"


def test_a_backtest_shows_models_nearer_to_what_happened_than_the_past_repeated(
    shop: duckdb.DuckDBPyConnection,
) -> None:
    found = rows(shop, "from marts.model_backtest where model = 'value of persons'")
    assert {row["as_of_date"] for row in found} == {EXTRACT_DATE - timedelta(days=days) for days in (180, 360)}
    assert {row["is_published"] for row in found} == {True}
    for metric, better in (("purchases_mae", -1), ("value_error_by_tenth", -1), ("auc", 1), ("brier", -1)):
        gains = [better * (row["value"] - row["baseline_value"]) for row in found if row["metric"] == metric]
        assert sum(gains) > 0
    tenths = [row for row in found if row["metric"] == "value" and row["as_of_date"] == found[0]["as_of_date"]]
    assert sorted(row["bucket"] for row in tenths) == list(range(1, 11))


def test_models_no_nearer_than_the_past_repeated_are_not_used_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # A model that expects thousands of orders of everybody.
    monkeypatch.setattr(
        "crm_quality.marts.value_backtest.expected_purchases", lambda _fit, past, _weeks: np.full(len(past), 1e4)
    )
    with warehouse() as con:
        bought(con, population(800, "EUR", 1))
        assert value(con).models == {"person": "observed rate / observed mean"}
        model = one(con, "from marts.purchase_model")
        assert {row["is_published"] for row in rows(con, "from marts.model_backtest where model like 'value%'")} == {
            False
        }
    assert model["remark"] == "in the backtest no nearer than what customers did in the 180 days before"
