"""Which churn model is believed, and what it is worth. Belongs here: score, backtest, contracts. Does not: bands."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from crm_quality.errors import CrmQualityError
from crm_quality.marts.churn_score import build_churn_score
from crm_quality.marts.contract_churn import build_contract_churn
from crm_quality.marts.customer_value import build_customer_value
from crm_quality.marts.purchase_model import FitRefusedError
from crm_quality.settings import ContractSettings
from tests.golden.scenario import on_day, rows
from tests.marts.scenario import EXTRACT_DATE, bought, build, population, warehouse

TELCO = ContractSettings(
    file="telco_churn_ibm/Telco-Customer-Churn.csv",
    id="customerID",
    churned="Churn",
    churned_value="Yes",
    amount="MonthlyCharges",
)


def value_without_fits(con: duckdb.DuckDBPyConnection) -> None:
    """Values by observed rates: the fits take seconds, and no test here looks at them."""

    def refuse(_customers: object) -> None:
        raise FitRefusedError("not in this test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crm_quality.marts.customer_value.fit_purchases", refuse)
        patch.setattr("crm_quality.marts.customer_value.fit_values", refuse)
        build_customer_value(con)


@pytest.fixture(scope="module")
def online_retail(real_data: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One order an invoice that was not cancelled, of customers with a number, in the nine months of the file."""
    with warehouse() as con:
        on_day(con, date(2011, 8, 31))
        invoices = con.execute(
            """
            select CustomerID, cast(InvoiceDate as timestamp)::date, sum(Quantity * UnitPrice), 'GBP'
            from read_parquet(?)
            where CustomerID is not null and InvoiceNo not like 'C%'
            group by InvoiceNo, 1, 2 having sum(Quantity * UnitPrice) > 0
            """,
            [str(real_data / "online_retail" / "online_retail.parquet")],
        ).fetchall()
        bought(con, invoices)
        value_without_fits(con)
        build_churn_score(con)
        yield con


def figure(con: duckdb.DuckDBPyConnection, model: str, metric: str) -> tuple[float, float]:
    """Of the model and of the baseline."""
    found = con.execute(
        "select value, baseline_value from marts.model_backtest where model = ? and metric = ? order by as_of_date desc",
        [model, metric],
    ).fetchone()
    assert found is not None
    return found


def test_on_online_retail_the_model_beats_plain_rfm_in_order_and_in_calibration(
    online_retail: duckdb.DuckDBPyConnection,
) -> None:
    (model,) = {row["model_version"] for row in rows(online_retail, "from marts.churn_score")}
    assert model == "gradient boosting 1"
    auc, plain_auc = figure(online_retail, "churn", "auc")
    brier, plain_brier = figure(online_retail, "churn", "brier")
    off, plain_off = figure(online_retail, "churn", "calibration_error")
    assert auc > plain_auc > 0.74
    assert brier < plain_brier - 0.01
    assert off < plain_off - 0.04


def test_a_short_history_is_asked_a_shorter_question(online_retail: duckdb.DuckDBPyConnection) -> None:
    assert {row["horizon_days"] for row in rows(online_retail, "from marts.churn_score")} == {90}


def test_a_reason_in_words_stands_beside_every_score(online_retail: duckdb.DuckDBPyConnection) -> None:
    build(online_retail, "marts.churn_risk")
    reasons = [row["top_reasons"] for row in rows(online_retail, "from marts.churn_risk")]
    assert len(reasons) > 3000
    assert all(reason.startswith(("one purchase only, ", "no order for ")) for reason in reasons)
    assert any("orders in the last 180 days: " in reason for reason in reasons)


def test_an_action_is_suggested_only_where_it_is_worth_more_than_it_costs(
    online_retail: duckdb.DuckDBPyConnection,
) -> None:
    build(online_retail, "marts.churn_risk")
    for row in rows(online_retail, "from marts.churn_risk"):
        assert (row["suggested_action"] == "none") == (row["action_value"] is None)
        assert row["action_value"] is None or row["action_value"] > 0


def test_without_a_history_to_test_it_on_the_purchase_model_is_believed():
    with warehouse() as con:
        bought(con, [(f"c{number}", EXTRACT_DATE - timedelta(days=number), 10.0, "EUR") for number in range(40)])
        value_without_fits(con)
        report = build_churn_score(con)
        assert {row["model_version"] for row in rows(con, "from marts.churn_score")} == {"purchase model"}
    assert report.model == "purchase model"
    assert report.remark.startswith("too little history")


def test_a_model_no_better_than_the_baseline_is_not_published_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # A model that knows nothing: half the customers at random.
    monkeypatch.setattr(
        "crm_quality.marts.churn_model.ChurnModel.predict",
        lambda _model, customers: np.random.default_rng(0).uniform(size=len(customers)),
    )
    with warehouse() as con:
        bought(con, population(900, "EUR", seed=2))
        value_without_fits(con)
        report = build_churn_score(con)
        assert {row["model_version"] for row in rows(con, "from marts.churn_score")} == {"purchase model"}
        assert {row["is_published"] for row in rows(con, "from marts.model_backtest")} == {False}
    assert "no better than a logistic regression" in report.remark


@pytest.fixture
def contracts() -> Iterator[duckdb.DuckDBPyConnection]:
    with warehouse() as con:
        build(con, "golden.customer_xref")
        yield con


def test_churn_of_telephone_contracts_is_told_in_cross_validation_and_calibrated(
    contracts: duckdb.DuckDBPyConnection, real_data: Path
) -> None:
    assert build_contract_churn(contracts, TELCO, real_data) == 7043
    assert figure(contracts, "contract churn", "auc")[0] >= 0.84
    assert figure(contracts, "contract churn", "calibration_error")[0] < 0.02
    found = rows(contracts, "from marts.contract_churn where contract_id = '7590-VHVEG'")
    assert found[0]["has_churned"] is False
    assert ": " in found[0]["top_reason"]
    assert found[0]["monthly_amount"] == 29.85
    assert found[0]["renewal_value"] + found[0]["value_at_risk"] == pytest.approx(12 * 29.85, abs=0.011)
    gone = rows(contracts, "from marts.contract_churn where has_churned")
    assert {row["value_at_risk"] for row in gone} == {None}


def test_until_its_renewal_a_contract_brings_what_was_agreed_and_after_it_what_is_likely(
    contracts: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    half_a_year = EXTRACT_DATE + timedelta(days=182)
    lines = [
        f"{n},{'ja' if n % 3 == 0 else 'nein'},{'abc'[n % 3]},100,{half_a_year if n % 2 else ''}" for n in range(300)
    ]
    file = tmp_path / "contracts.csv"
    file.write_text("\n".join(["id,left,plan,fee,ends", *lines]))
    settings = ContractSettings(
        file=file.name, id="id", churned="left", churned_value="ja", amount="fee", renews="ends"
    )
    assert build_contract_churn(contracts, settings, tmp_path) == 300
    found = {row["contract_id"]: row for row in rows(contracts, "from marts.contract_churn where not has_churned")}
    agreed, at_any_time = found["1"], found["2"]
    assert (agreed["renews_on"], agreed["days_to_renewal"]) == (half_a_year, 182)
    assert agreed["value_at_risk"] == pytest.approx(1200 * (1 - 182 / 365) * agreed["churn_probability"], abs=0.01)
    assert agreed["renewal_value"] == pytest.approx(1200 - agreed["value_at_risk"], abs=0.011)
    assert at_any_time["renews_on"] is None
    assert at_any_time["value_at_risk"] == pytest.approx(1200 * at_any_time["churn_probability"], abs=0.01)

    file.write_text(file.read_text().replace(str(half_a_year), "next May"))
    with pytest.raises(CrmQualityError, match=r"150 row\(s\) have a ends that is no day; write it as 2026-11-21"):
        build_contract_churn(contracts, settings, tmp_path)


def test_a_project_without_contracts_has_an_empty_table(contracts: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert build_contract_churn(contracts, None, tmp_path) == 0
    assert rows(contracts, "from marts.contract_churn") == []


def test_a_table_of_contracts_that_cannot_be_used_is_refused_with_what_is_wrong(
    contracts: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with pytest.raises(CrmQualityError, match=r"Telco-Customer-Churn.csv: no such file"):
        build_contract_churn(contracts, TELCO, tmp_path)
    file = tmp_path / "contracts.csv"
    settings = ContractSettings(file="contracts.csv", id="id", churned="left", churned_value="ja")
    file.write_text("id,gone\n1,ja\n")
    with pytest.raises(CrmQualityError, match=r"contracts.csv: no column left; it has id, gone"):
        build_contract_churn(contracts, settings, tmp_path)
    file.write_text("id,left\n1,yes\n2,no\n")
    with pytest.raises(CrmQualityError, match=r"0 of 2 rows have left = 'ja'.*churned_value"):
        build_contract_churn(contracts, settings, tmp_path)
