"""What Great Expectations computes its metrics with on DuckDB. Belongs here: its engine and the metrics that differ.

Does not belong here: verdicts. Only gx.py imports this module, inside a function: Great Expectations takes seconds.

Its own metrics are replaced where DuckDB has none (regular expressions), where they would read rows into Python, or
where they cost many times what the question does: duplicates by joining the whole table to itself, columns by asking
a catalogue of all columns of all databases. Registering one is enough; it warns of each, which here is the purpose.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import duckdb
import sqlalchemy as sa
from duckdb_sqlalchemy import ConnectionWrapper
from great_expectations.compatibility import pydantic
from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.core import unexpected_rows_expectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)
from great_expectations.expectations.metrics.metric_provider import MetricProvider, metric_value
from great_expectations.expectations.registry import get_expectation_impl

from crm_quality.quality.gx import FAILING

logging.getLogger("great_expectations.expectations.registry").setLevel(logging.ERROR)


class _Lent(ConnectionWrapper):
    """The run's connection, for SQLAlchemy to use and not to close."""

    def close(self) -> None:
        self.closed = True


class RunEngine(SqlAlchemyExecutionEngine):
    """Great Expectations' engine on the run's own connection, so that it sees the run's temporary tables."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        engine = sa.create_engine(
            "duckdb:///:memory:",
            creator=lambda: _Lent(con),
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_reset_on_return=None,
        )
        super().__init__(engine=engine, create_temp_table=False)
        self.con = con
        self.kept: dict[str, int] = {}

    @classmethod
    @contextmanager
    def on(cls, con: duckdb.DuckDBPyConnection) -> Iterator["RunEngine"]:
        """An engine, gone afterwards; the connection stays open."""
        engine = cls(con)
        try:
            yield engine
        finally:
            engine.engine.dispose()

    def load(self, relation: str) -> None:
        """Make a relation `schema.name` known, as the batch of that id."""
        schema, name = relation.split(".")
        self.load_batch_data(relation, SqlAlchemyBatchData(execution_engine=self, schema_name=schema, table_name=name))


@cache
def made_once(kind: str) -> None:
    """Put in place of an expectation one that makes its configuration once.

    Great Expectations asks for it some sixty times per check and makes it anew each time: a quarter of all that checks
    take.
    """
    original: Any = get_expectation_impl(kind)

    def configuration(self: Any) -> Any:
        if self._configuration is None:
            self._configuration = original.configuration.fget(self)
        return self._configuration

    members = {"_configuration": pydantic.PrivateAttr(default=None), "configuration": property(configuration)}
    type(original)(original.__name__, (original,), {"__module__": original.__module__, **members})


class UnexpectedRowsExpectation(unexpected_rows_expectation.UnexpectedRowsExpectation):
    """A rule in SQL of which only the number of rows is wanted, and never the rows themselves in Python."""

    metric_dependencies = ("unexpected_rows_query.row_count",)

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        return {"success": metrics["unexpected_rows_query.row_count"] == 0}


class MatchRegex(ColumnMapMetricProvider):
    """Values that match a regular expression."""

    condition_metric_name = "column_values.match_regex"
    condition_value_keys = ("regex",)

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: Any, regex: str, **_: Any) -> Any:  # noqa: N805
        return sa.func.regexp_matches(column, regex)


class NotMatchRegex(ColumnMapMetricProvider):
    """Values that do not match a regular expression."""

    condition_metric_name = "column_values.not_match_regex"
    condition_value_keys = ("regex",)

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: Any, regex: str, **_: Any) -> Any:  # noqa: N805
        return sa.not_(sa.func.regexp_matches(column, regex))


class KeptRows(MetricProvider):
    """How many rows a rule in SQL finds. It runs once: what it finds is kept, not only counted.

    When another metric fails, Great Expectations asks for all of them again.
    """

    metric_name = "unexpected_rows_query.row_count"
    domain_keys = ("batch_id", "row_condition", "condition_parser")
    value_keys = ("unexpected_rows_query",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, execution_engine: RunEngine, metric_value_kwargs: dict[str, Any], **_: Any) -> int:  # noqa: N805
        query = metric_value_kwargs["unexpected_rows_query"].format(batch="")
        if query not in execution_engine.kept:
            (inserted,) = execution_engine.con.execute(f"insert into {FAILING} {query}").fetchone() or (0,)
            execution_engine.kept[query] = inserted
        return execution_engine.kept[query]


class RepeatedKeys(MetricProvider):
    """How many rows share their values of some columns with another row."""

    metric_name = "compound_columns.unique.unexpected_count"
    domain_keys = ("batch_id", "table", "column_list", "row_condition", "condition_parser", "ignore_row_if")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, execution_engine: RunEngine, metric_domain_kwargs: dict[str, Any], **_: Any) -> int:  # noqa: N805
        return _repeated(execution_engine, metric_domain_kwargs["batch_id"], metric_domain_kwargs["column_list"])


class RepeatedValues(MetricProvider):
    """How many rows share their value of a column with another row."""

    metric_name = "column_values.unique.unexpected_count"
    domain_keys = ("batch_id", "table", "column", "row_condition", "condition_parser")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, execution_engine: RunEngine, metric_domain_kwargs: dict[str, Any], **_: Any) -> int:  # noqa: N805
        return _repeated(execution_engine, metric_domain_kwargs["batch_id"], [metric_domain_kwargs["column"]])


def _repeated(engine: RunEngine, relation: str, columns: Sequence[str]) -> int:
    row = engine.con.execute(f"select count(*) from ({repeated_rows(relation, columns)})").fetchone()
    return int(row[0]) if row else 0


def repeated_rows(relation: str, columns: Sequence[str]) -> str:
    """The query of the rows that share their values of the columns with another; NULL is like nothing."""
    key = ", ".join(columns)
    twice = f"select {key} from {relation} group by {key} having count(*) > 1"
    return f"select * from {relation} where ({key}) in ({twice})"


class Columns(MetricProvider):
    """The columns of the relation and their types."""

    metric_name = "table.column_types"
    domain_keys = ("batch_id", "table", "row_condition", "condition_parser")
    value_keys = ("include_nested",)

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805
        execution_engine: RunEngine,
        metric_domain_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[dict[str, Any]]:
        rows = execution_engine.con.execute(f"describe {metric_domain_kwargs['batch_id']}").fetchall()
        return [{"name": row[0], "type": getattr(sa.types, row[1].split("(")[0], sa.types.NullType)()} for row in rows]
