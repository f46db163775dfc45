"""Make marts.product_affinity and marts.product_recommendation. Does not belong here: how much a customer buys.

Which products go together is learnt from who bought what (implicit's nearest neighbours over products). A customer is
recommended products they never bought. In the backtest that must find more of what customers bought next than
recommending what sells best; where it does not, no recommendations are published.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from crm_quality.marts import backtest
from crm_quality.marts.backtest import Figure
from crm_quality.marts.threads import one_thread
from crm_quality.warehouse import literal

if TYPE_CHECKING:
    import scipy.sparse as sp

# Its name in marts.model_backtest.
MODEL = "recommendation"
VERSION = "tf-idf neighbours 1"
RECOMMENDED = 5
NEIGHBOURS = 50
RELATED_SHOWN = 10
HORIZONS = (180, 90, 30)
ORIGINS = 2
# Fewer customers who bought something new say nothing of a hit rate.
MIN_TESTED = 50
MAX_TESTED = 2_000
# Scores held at once.
MAX_CELLS = 10_000_000

_TABLES = {
    "product_affinity": (
        "Products of one system that go together: bought by the same customers, more than each sells anyway. The nearest "
        f"{RELATED_SHOWN} of each product.",
        {
            "source_system": ("varchar", "system of the products"),
            "product_source_id": ("varchar", "the product"),
            "related_product_source_id": ("varchar", "a product that goes with it"),
            "affinity": ("double", "0 to 1: cosine of who bought the two, rare customers' baskets weighing more"),
            "customers": ("bigint", "customers who bought both"),
        },
    ),
    "product_recommendation": (
        "Products that a customer never bought and is likely to buy next. Empty where the backtest found nothing "
        "better than recommending what sells best: see marts.model_backtest.",
        {
            "customer_id": ("varchar", "the customer"),
            "place": ("bigint", "1 the likeliest"),
            "source_system": ("varchar", "system of the product"),
            "product_source_id": ("varchar", "the product"),
            "product_name": ("varchar", "its name; empty where no source says"),
            "score": ("double", "sum of its affinities to what the customer bought; compares within one customer only"),
            "because_of": ("varchar", "id of the product bought that speaks most for it"),
            "model_version": ("varchar", "the model"),
        },
    ),
}

# Who bought which product how often, as of a day.
_BOUGHT = """
create or replace temp table product_bought as
select orders.customer_id, concat(line.source_system, chr(31), line.product_source_id) as product, orders.ordered_on
from marts.customer_order as orders
join core.order_line as line
    on orders.source_system = line.source_system and orders.source_id = line.order_source_id
where not line.is_cancelled and line.product_source_id is not null and coalesce(line.quantity, 1) > 0
"""


@dataclass(frozen=True)
class Baskets:
    """Who bought what until a day: (customers, products) of log(1 + times), with the names of rows and columns."""

    customers: NDArray[Any]
    products: NDArray[Any]
    times: sp.csr_matrix


@dataclass(frozen=True)
class RecommendationReport:
    """Recommendations made, and why there are none."""

    recommendations: int
    remark: str


def build_recommendations(con: duckdb.DuckDBPyConnection) -> RecommendationReport:
    """(Re)create marts.product_affinity and marts.product_recommendation from the lines of marts.customer_order."""
    for table, (description, columns) in _TABLES.items():
        listed = ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items())
        con.execute(f"create or replace table marts.{table} ({listed})")
        con.execute(f"comment on table marts.{table} is {literal(description)}")
        for name, (_, text) in columns.items():
            con.execute(f"comment on column marts.{table}.{name} is {literal(text)}")
    con.execute(_BOUGHT)
    first, today = con.execute(
        "select min(ordered_on), (select extract_date from meta.current_run) from product_bought"
    ).fetchone() or (None, None)
    remark = _recommend(con, first, today) if first else "no order has lines with a product"
    con.execute("drop table product_bought")
    made = con.execute("select count(*) from marts.product_recommendation").fetchone()
    return RecommendationReport(made[0] if made else 0, remark)


def _recommend(con: duckdb.DuckDBPyConnection, first: date, today: date) -> str:
    horizon = next((days for days in HORIZONS if (today - first).days >= 3 * days), None)
    verdict = backtest.keep(con, MODEL, horizon)
    if verdict is None and horizon is not None:
        verdict = _test(con, today, horizon)
    baskets = _baskets(con, today)
    model = _fit(baskets)
    _write_affinity(con, baskets, model)
    if verdict:
        _write_recommendations(con, baskets, model)
        return "better than what sells best"
    if verdict is None:
        return f"not tested: orders since {first}, or too few customers who bought something new"
    return "in the backtest no better than what sells best"


def _test(con: duckdb.DuckDBPyConnection, today: date, horizon: int) -> bool | None:
    """Write the backtests; returns whether the model was better over all of them, None where nothing could be tested."""
    gains: list[tuple[float, float]] = []
    for origin in backtest.origins(today, horizon, ORIGINS):
        baskets = _baskets(con, origin)
        bought = _bought_next(con, baskets, origin, horizon)
        tested = np.unique(bought[0])[:MAX_TESTED]
        if len(tested) < MIN_TESTED:
            break
        said = _quality(_nearest(_fit(baskets), baskets, tested)[0], tested, bought)
        plain = _quality(_best_selling(con, baskets, tested, origin, horizon), tested, bought)
        figures = [
            Figure(name, None, mine, other)
            for name, mine, other in zip(
                (f"hit_rate_at_{RECOMMENDED}", f"ndcg_at_{RECOMMENDED}"), said, plain, strict=True
            )
        ]
        backtest.write(con, MODEL, origin, horizon, len(tested), figures)
        gains.append((said[0] - plain[0], said[1] - plain[1]))
    if not gains:
        return None
    good = bool(np.all(np.mean(gains, axis=0) > 0))
    backtest.decide(con, MODEL, is_published=good)
    return good


def _baskets(con: duckdb.DuckDBPyConnection, until: date) -> Baskets:
    import scipy.sparse as sp

    con.execute(
        """
        create or replace temp table basket as
        select customer_id, product, count(distinct ordered_on) as times,
            dense_rank() over (order by md5(customer_id), customer_id) - 1 as customer_row,
            dense_rank() over (order by product) - 1 as product_column
        from product_bought where ordered_on <= ? group by customer_id, product
        """,
        [until],
    )
    cells = con.execute(
        "select customer_row, product_column, times from basket order by customer_row, product_column"
    ).fetchnumpy()
    customers = con.execute(
        "select customer_id from basket group by customer_id, customer_row order by customer_row"
    ).fetchnumpy()
    products = con.execute(
        "select product from basket group by product, product_column order by product_column"
    ).fetchnumpy()
    shape = (len(customers["customer_id"]), len(products["product"]))
    times = sp.csr_matrix((np.log1p(cells["times"]), (cells["customer_row"], cells["product_column"])), shape=shape)
    return Baskets(np.asarray(customers["customer_id"]), np.asarray(products["product"]), times)


def _fit(baskets: Baskets) -> Any:
    import scipy.sparse as sp
    from implicit.nearest_neighbours import TFIDFRecommender
    from implicit.utils import ParameterWarning

    model = TFIDFRecommender(K=NEIGHBOURS, num_threads=1)
    with one_thread(), warnings.catch_warnings():
        # The library weighs its own form of the matrix, and warns of the conversion that it makes for that.
        warnings.simplefilter("ignore", ParameterWarning)
        model.fit(baskets.times, show_progress=False)
    # Two systems that sell the same article call it by two ids: it would go best with itself.
    pairs = model.similarity.tocoo()
    systems = np.array([product.partition(chr(31))[0] for product in baskets.products])
    own = systems[pairs.row] == systems[pairs.col]
    model.similarity = sp.csr_matrix((pairs.data[own], (pairs.row[own], pairs.col[own])), shape=pairs.shape)
    return model


def _nearest(model: Any, baskets: Baskets, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Products (by column) that each customer never bought, the likeliest first, and their scores; -1 where none is left."""
    # The library asks customer by customer, which takes ten times as long as a product of matrices.
    count = min(RECOMMENDED, len(baskets.products))
    at_once = max(1, MAX_CELLS // len(baskets.products))
    products, scores = [], []
    for first in range(0, len(rows), at_once):
        bought = baskets.times[rows[first : first + at_once]]
        score = (bought @ model.similarity).toarray()
        score[bought.nonzero()] = 0
        likely = np.argsort(-score, axis=1, kind="stable")[:, :count]
        products.append(likely)
        scores.append(np.take_along_axis(score, likely, axis=1))
    best = np.concatenate(scores)
    return np.where(best > 0, np.concatenate(products), -1), best


def _bought_next(
    con: duckdb.DuckDBPyConnection, baskets: Baskets, origin: date, horizon: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows and columns of what customers bought for the first time in the horizon after the origin."""
    cells = con.execute(
        """
        select distinct customer.customer_row, product.product_column
        from product_bought as bought
        join (select distinct customer_id, customer_row from basket) as customer using (customer_id)
        join (select distinct product, product_column from basket) as product using (product)
        left join basket as known using (customer_id, product)
        where bought.ordered_on > $origin and bought.ordered_on <= $origin + $horizon and known.customer_id is null
        order by all
        """,
        {"origin": origin, "horizon": horizon},
    ).fetchnumpy()
    return np.asarray(cells["customer_row"]), np.asarray(cells["product_column"])


def _best_selling(
    con: duckdb.DuckDBPyConnection, baskets: Baskets, rows: NDArray[Any], origin: date, horizon: int
) -> NDArray[Any]:
    """The baseline: what most customers bought in the horizon before the origin and this one never did."""
    sold = con.execute(
        """
        select basket.product_column from product_bought as bought join basket using (customer_id, product)
        where bought.ordered_on > $origin - $horizon and bought.ordered_on <= $origin
        group by basket.product_column order by count(distinct customer_id) desc, basket.product_column
        """,
        {"origin": origin, "horizon": horizon},
    ).fetchnumpy()["product_column"]
    order = np.asarray(sold)
    found = np.full((len(rows), RECOMMENDED), -1)
    for place, row in enumerate(rows):
        own = baskets.times.indices[baskets.times.indptr[row] : baskets.times.indptr[row + 1]]
        likely = order[: RECOMMENDED + len(own)]
        new = likely[~np.isin(likely, own)][:RECOMMENDED]
        found[place, : len(new)] = new
    return found


def _quality(said: NDArray[Any], rows: NDArray[Any], bought: tuple[NDArray[Any], NDArray[Any]]) -> tuple[float, float]:
    """Hit rate and NDCG of the first RECOMMENDED (Järvelin and Kekäläinen 2002), means over customers."""
    import scipy.sparse as sp

    width = max(int(bought[1].max()), int(said.max())) + 1
    happened = sp.csr_matrix((np.ones(len(bought[0])), bought), shape=(int(bought[0].max()) + 1, width))[rows]
    hits = np.stack(
        [
            np.where(column >= 0, np.asarray(happened[np.arange(len(rows)), np.maximum(column, 0)]).ravel(), 0.0)
            for column in said.T
        ],
        axis=1,
    )
    discount = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    possible = np.minimum(np.diff(happened.indptr), hits.shape[1])
    ideal = np.concatenate([[0.0], np.cumsum(discount)])[possible]
    return float((hits.sum(axis=1) > 0).mean()), float((hits @ discount / ideal).mean())


def _write_affinity(con: duckdb.DuckDBPyConnection, baskets: Baskets, model: Any) -> None:
    import pandas as pd

    pairs = model.similarity.tocoo()
    near = pd.DataFrame({"left": pairs.row, "right": pairs.col, "affinity": pairs.data})
    near = near[(near["left"] != near["right"]) & (near["affinity"] > 0)]
    near = (
        near.sort_values(["left", "affinity", "right"], ascending=[True, False, True])
        .groupby("left")
        .head(RELATED_SHOWN)
    )
    bought = (baskets.times > 0).astype(np.float64).tocsc()
    left, right = near["left"].to_numpy(), near["right"].to_numpy()
    both = np.asarray(bought[:, left].multiply(bought[:, right]).sum(axis=0)).ravel().astype(np.int64)
    con.register("near", near.assign(product=baskets.products[left], other=baskets.products[right], customers=both))
    con.execute(
        """
        insert into marts.product_affinity
        select split_part(product, chr(31), 1), split_part(product, chr(31), 2), split_part(other, chr(31), 2),
            round(affinity, 6), customers
        from near order by product, affinity desc, other
        """
    )
    con.unregister("near")


def _write_recommendations(con: duckdb.DuckDBPyConnection, baskets: Baskets, model: Any) -> None:
    import pandas as pd

    rows = np.arange(len(baskets.customers))
    products, scores = _nearest(model, baskets, rows)
    place, column = np.nonzero(products >= 0)
    chosen = products[place, column]
    # What speaks most for it: of all that the customer bought, the product nearest to the recommended one.
    reasons = _nearest_bought(model, baskets, place, chosen)
    found = pd.DataFrame(
        {
            "customer_id": baskets.customers[place],
            "place": column + 1,
            "product": baskets.products[chosen],
            "score": scores[place, column],
            "because_of": baskets.products[reasons],
        }
    )
    con.register("found", found)
    con.execute(
        """
        insert into marts.product_recommendation
        select found.customer_id, found.place, split_part(found.product, chr(31), 1), split_part(found.product, chr(31), 2),
            product.name, round(found.score, 6), split_part(found.because_of, chr(31), 2), $version
        from found
        left join (
            select source_system, source_id, max(name) as name from core.product group by source_system, source_id
        ) as product on concat(product.source_system, chr(31), product.source_id) = found.product
        order by found.customer_id, found.place
        """,
        {"version": VERSION},
    )
    con.unregister("found")


def _nearest_bought(model: Any, baskets: Baskets, rows: NDArray[Any], chosen: NDArray[Any]) -> NDArray[Any]:
    similar = model.similarity.tocsc()
    best = np.zeros(len(rows), dtype=np.int64)
    at_once = 50_000
    for first in range(0, len(rows), at_once):
        part = slice(first, first + at_once)
        weight = baskets.times[rows[part]].multiply(similar[:, chosen[part]].T.tocsr())
        best[part] = np.asarray(weight.argmax(axis=1)).ravel()
    return best
