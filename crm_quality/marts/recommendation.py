"""Make marts.product_affinity and marts.product_recommendation. Does not belong here: how much a customer buys.

Which products go together is learnt from who bought what (implicit's nearest neighbours over products). A customer is
recommended products they never bought. In the backtest that must find more of what customers bought next than
recommending what sells best; where it does not, no recommendations are published.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from crm_quality.marts import backtest
from crm_quality.marts.backtest import Figure
from crm_quality.marts.threads import one_thread
from crm_quality.warehouse import comment

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
# Customers looked at together: some 100 MB of scores.
AT_ONCE = 50_000

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

# Numbers stand for customers and products, as models want them: customers in the order of a hash of their ids, so that
# the first of them are a fair sample.
_NUMBERED = """
create or replace temp table buyer as
select customer_id, cast(row_number() over (order by md5(customer_id), customer_id) - 1 as integer) as customer
from (select distinct customer_id from marts.customer_order);
create or replace temp table bought_product as
select source_system, product_source_id,
    cast(row_number() over (order by source_system, product_source_id) - 1 as integer) as product,
    dense_rank() over (order by source_system) as system
from (select distinct source_system, product_source_id from core.order_line where product_source_id is not null)
"""

_BOUGHT = """
with orders as (
    -- here, as lines are many times as many
    select buyer.customer, placed.source_system, placed.source_id, placed.ordered_on
    from marts.customer_order as placed
    join buyer using (customer_id)
)
select distinct orders.customer, bought_product.product, orders.ordered_on
from core.order_line as line
join orders on orders.source_system = line.source_system and orders.source_id = line.order_source_id
join bought_product
    on line.source_system = bought_product.source_system and line.product_source_id = bought_product.product_source_id
where not line.is_cancelled and coalesce(line.quantity, 1) > 0
order by all
"""


@dataclass(frozen=True)
class Purchases:
    """Who bought what on which day: a customer, a product and a day by purchase, sorted by all three."""

    customer: NDArray[Any]
    product: NDArray[Any]
    ordered_on: NDArray[Any]

    def between(self, after: date | None, until: date) -> Purchases:
        """Those after a day, if one is given, until another."""
        chosen = self.ordered_on <= np.datetime64(until)
        if after:
            chosen &= self.ordered_on > np.datetime64(after)
        return Purchases(self.customer[chosen], self.product[chosen], self.ordered_on[chosen])

    def first(self) -> NDArray[Any]:
        """Places of the first purchase of each product by each customer."""
        is_first = np.ones(len(self.customer), dtype=bool)
        is_first[1:] = (np.diff(self.customer) != 0) | (np.diff(self.product) != 0)
        return np.flatnonzero(is_first)


@dataclass(frozen=True)
class Baskets:
    """Who bought what until a day: (customers, products) of log(1 + times), with the numbers of rows and columns."""

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
        comment(con, f"marts.{table}", description, {name: text for name, (_, text) in columns.items()})
    con.execute(_NUMBERED)
    found = con.execute(_BOUGHT).fetchnumpy()
    bought = Purchases(*(np.asarray(found[name]) for name in ("customer", "product", "ordered_on")))
    remark = _recommend(con, bought) if len(bought.customer) else "no order has lines with a product"
    con.execute("drop table bought_product; drop table buyer")
    made = con.execute("select count(*) from marts.product_recommendation").fetchone()
    return RecommendationReport(made[0] if made else 0, remark)


def _recommend(con: duckdb.DuckDBPyConnection, bought: Purchases) -> str:
    (today,) = con.execute("select extract_date from meta.current_run").fetchone() or (None,)
    first = bought.ordered_on.min().astype("datetime64[D]").item()
    horizon = next((days for days in HORIZONS if (today - first).days >= 3 * days), None)
    verdict = backtest.keep(con, MODEL, horizon)
    if verdict is None and horizon is not None:
        verdict = _test(con, bought, today, horizon)
    baskets = _baskets(bought, today)
    similarity = _fit(con, baskets)
    _write_affinity(con, baskets, similarity)
    if verdict:
        _write_recommendations(con, baskets, similarity)
        return "better than what sells best"
    if verdict is None:
        return f"not tested: orders since {first}, or too few customers who bought something new"
    return "in the backtest no better than what sells best"


def _test(con: duckdb.DuckDBPyConnection, bought: Purchases, today: date, horizon: int) -> bool | None:
    """Write the backtests; returns whether the model was better over all of them, None where nothing could be tested."""
    gains: list[tuple[float, float]] = []
    span = timedelta(days=horizon)
    for origin in backtest.origins(today, horizon, ORIGINS):
        baskets = _baskets(bought, origin)
        later = _bought_next(bought, baskets, origin, origin + span)
        tested = np.unique(later[0])[:MAX_TESTED]
        if len(tested) < MIN_TESTED:
            break
        said = _quality(_nearest(_fit(con, baskets), baskets.times[tested])[0], tested, later)
        plain = _quality(_best_selling(bought.between(origin - span, origin), baskets, tested), tested, later)
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


def _baskets(bought: Purchases, until: date) -> Baskets:
    import scipy.sparse as sp

    known = bought.between(None, until)
    first = known.first()
    times = np.diff(first, append=len(known.customer))
    customers, rows = np.unique(known.customer[first], return_inverse=True)
    products, columns = np.unique(known.product[first], return_inverse=True)
    matrix = sp.csr_matrix((np.log1p(times), (rows, columns)), shape=(len(customers), len(products)))
    return Baskets(customers, products, matrix)


def _fit(con: duckdb.DuckDBPyConnection, baskets: Baskets) -> sp.csr_matrix:
    """(products, products): how near the nearest products of a product are to it."""
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
    systems = con.execute("select system from bought_product order by product").fetchnumpy()["system"][baskets.products]
    own = systems[pairs.row] == systems[pairs.col]
    return sp.csr_matrix((pairs.data[own], (pairs.row[own], pairs.col[own])), shape=pairs.shape)


def _nearest(similarity: sp.csr_matrix, bought: sp.csr_matrix) -> tuple[NDArray[Any], NDArray[Any]]:
    """Products (by column) that each customer never bought, the likeliest first, and their scores; -1 where none is left.

    `bought` is (customers, products). Of equal scores the first column comes first.
    """
    import scipy.sparse as sp

    # The library asks customer by customer, which takes ten times as long as a product of matrices. What a customer has
    # must not come out on top: it is nearest to itself.
    new = (similarity - sp.diags_array(similarity.diagonal() + 1e9)).tocsr()
    products = np.full((bought.shape[0], RECOMMENDED), -1)
    scores = np.zeros((bought.shape[0], RECOMMENDED))
    for first in range(0, bought.shape[0], AT_ONCE):
        part = slice(first, first + AT_ONCE)
        score = (bought[part] @ new).tocsr()
        filled = np.flatnonzero(np.diff(score.indptr))
        for place in range(RECOMMENDED if len(filled) else 0):
            best, column = _best(score, filled)
            known = best > 0
            products[part][filled[known], place], scores[part][filled[known], place] = column[known], best[known]
            score.data[score.indices == np.repeat(column, np.diff(score.indptr)[filled])] = 0
    return products, scores


def _best(score: sp.csr_matrix, filled: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The highest score of each row that has any, and the first column that has it."""
    starts = score.indptr[filled]
    best = np.maximum.reduceat(score.data, starts)
    is_best = score.data == np.repeat(best, np.diff(score.indptr)[filled])
    return best, np.minimum.reduceat(np.where(is_best, score.indices, score.shape[1]), starts)


def _bought_next(bought: Purchases, baskets: Baskets, origin: date, until: date) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows and columns of what customers bought for the first time after the origin."""
    known = bought.between(None, until)
    first = known.first()
    new = first[known.ordered_on[first] > np.datetime64(origin)]
    customer, product = known.customer[new], known.product[new]
    # A customer or product that nobody knew by then could not be told of.
    told = np.isin(customer, baskets.customers) & np.isin(product, baskets.products)
    return np.searchsorted(baskets.customers, customer[told]), np.searchsorted(baskets.products, product[told])


def _best_selling(lately: Purchases, baskets: Baskets, rows: NDArray[Any]) -> NDArray[Any]:
    """The baseline: what most customers bought lately and this one never did."""
    buyers = np.bincount(lately.product[lately.first()])
    sold = np.argsort(-buyers, kind="stable")[: np.count_nonzero(buyers)]
    order = np.searchsorted(baskets.products, sold)
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


def _write_affinity(con: duckdb.DuckDBPyConnection, baskets: Baskets, similarity: sp.csr_matrix) -> None:
    import pandas as pd

    pairs = similarity.tocoo()
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
        select product.source_system, product.product_source_id, other.product_source_id, round(affinity, 6), customers
        from near
        join bought_product as product on near.product = product.product
        join bought_product as other on near.other = other.product
        order by near.product, affinity desc, near.other
        """
    )
    con.unregister("near")


def _write_recommendations(con: duckdb.DuckDBPyConnection, baskets: Baskets, similarity: sp.csr_matrix) -> None:
    import pandas as pd

    products, scores = _nearest(similarity, baskets.times)
    row, place = np.nonzero(products >= 0)
    chosen = products[row, place]
    found = pd.DataFrame(
        {
            "customer": baskets.customers[row],
            "place": place + 1,
            "product": baskets.products[chosen],
            "score": scores[row, place],
            "because_of": baskets.products[_nearest_bought(similarity, baskets.times, row, chosen)],
        }
    )
    con.register("found", found)
    con.execute(
        """
        insert into marts.product_recommendation
        select buyer.customer_id, found.place, product.source_system, product.product_source_id, named.name,
            round(found.score, 6), because.product_source_id, $version
        from found
        join buyer using (customer)
        join bought_product as product on found.product = product.product
        join bought_product as because on found.because_of = because.product
        left join (
            select source_system, source_id, max(name) as name from core.product group by source_system, source_id
        ) as named on product.source_system = named.source_system and product.product_source_id = named.source_id
        """,
        {"version": VERSION},
    )
    con.unregister("found")


def _nearest_bought(
    similarity: sp.csr_matrix, times: sp.csr_matrix, rows: NDArray[Any], chosen: NDArray[Any]
) -> NDArray[Any]:
    """What speaks most for each recommendation: of all that the customer bought, the product that adds most to its score."""
    best = np.zeros(len(rows), dtype=np.int64)
    for first in range(0, len(rows), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        bought = times[rows[part]]
        count = np.diff(bought.indptr)
        near = np.asarray(similarity[bought.indices, np.repeat(chosen[part], count)]).ravel()
        bought.data *= near
        best[part] = _best(bought, np.arange(len(count)))[1]
    return best
