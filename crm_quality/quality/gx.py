"""Great Expectations on the run's own DuckDB connection. Belongs here: its context, quirks and verdicts.

Does not belong here: what becomes of a verdict. Importing Great Expectations takes seconds, so that every
import of it stands inside the function that needs it.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb

from crm_quality.quality.suites import UNEXPECTED_ROWS, Check, Suite

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource


@dataclass(frozen=True)
class Verdict:
    """What Great Expectations says of one check; failing_rows selects its failing rows, if it has any."""

    success: bool
    failing_rows: str | None = None
    error: str | None = None


@cache
def shared_context() -> "EphemeralDataContext":
    """Great Expectations' context, once per process: importing it takes seconds."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    _teach_metrics()
    return context


def _teach_metrics() -> None:
    """Metrics that Great Expectations lacks for DuckDB, or has in a form that would read rows into Python."""
    import sqlalchemy as sa
    from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
    from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
        column_condition_partial,
    )
    from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
        ColumnMapMetricProvider,
    )
    from great_expectations.expectations.metrics.metric_provider import metric_value
    from great_expectations.expectations.metrics.query_metrics.query_table.query_table import QueryTable

    # It warns of every metric that is replaced, which here is the purpose.
    logging.getLogger("great_expectations.expectations.registry").setLevel(logging.ERROR)

    class MatchRegex(ColumnMapMetricProvider):
        condition_metric_name = "column_values.match_regex"
        condition_value_keys = ("regex",)

        @column_condition_partial(engine=SqlAlchemyExecutionEngine)
        def _sqlalchemy(cls, column, regex, **kwargs):  # type: ignore[no-untyped-def]  # noqa: N805
            return sa.func.regexp_matches(column, regex)

    class NotMatchRegex(ColumnMapMetricProvider):
        condition_metric_name = "column_values.not_match_regex"
        condition_value_keys = ("regex",)

        @column_condition_partial(engine=SqlAlchemyExecutionEngine)
        def _sqlalchemy(cls, column, regex, **kwargs):  # type: ignore[no-untyped-def]  # noqa: N805
            return sa.not_(sa.func.regexp_matches(column, regex))

    class NoRows(QueryTable):
        """The rows themselves are never wanted, only their number."""

        metric_name = "unexpected_rows_query.table"
        value_keys = ("unexpected_rows_query",)

        @metric_value(engine=SqlAlchemyExecutionEngine)
        def _sqlalchemy(cls, *args, **kwargs):  # type: ignore[no-untyped-def]  # noqa: N805
            return []


@contextmanager
def warehouse_datasource(con: duckdb.DuckDBPyConnection) -> Iterator["SQLDatasource"]:
    """A data source on the run's own connection, gone afterwards.

    Every cursor is closed with it: one that stays open would keep the file open after the run.
    """
    from duckdb_sqlalchemy import ConnectionWrapper

    cursors: list[duckdb.DuckDBPyConnection] = []

    def connect() -> Any:
        cursors.append(con.cursor())
        return ConnectionWrapper(cursors[-1])

    context = shared_context()
    name = "warehouse"
    datasource: SQLDatasource = context.data_sources.add_or_update_sql(  # type: ignore[call-arg]
        name,
        connection_string="duckdb:///:memory:",
        create_temp_table=False,
        kwargs={
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
            "pool_reset_on_return": None,
            "creator": connect,
        },
    )
    try:
        yield datasource
    finally:
        datasource.get_engine().dispose()
        context.data_sources.delete(name)
        for cursor in cursors:
            cursor.close()


def validate(datasource: "SQLDatasource", suite: Suite, relations: Mapping[Check, str]) -> dict[Check, Verdict]:
    """Great Expectations' verdict on every check, each on its relation: the suite's table or a view of it.

    Checks of one relation are validated together. Rules in SQL name their relation themselves, so that they
    are all validated with the table: a batch of its own costs as much as five checks.
    """
    batches: dict[str, list[Check]] = defaultdict(list)
    for check, relation in relations.items():
        batches[suite.table if check.expectation == UNEXPECTED_ROWS else relation].append(check)
    verdicts: dict[Check, Verdict] = {}
    for name, checks in batches.items():
        schema, table = name.split(".")
        asset = datasource.add_table_asset(name, table_name=table, schema_name=schema)
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        verdicts |= _validate_batch(batch, suite, {check: relations[check] for check in checks})
    return verdicts


def _validate_batch(batch: Any, suite: Suite, relations: Mapping[Check, str]) -> dict[Check, Verdict]:
    """One validation. Its queries are shared: what one broken check takes with it is then run alone."""
    verdicts = _validate_together(batch, suite, relations)
    broken = [check for check, verdict in verdicts.items() if verdict.error]
    if broken and len(relations) > 1:
        for check in broken:
            verdicts |= _validate_together(batch, suite, {check: relations[check]})
    return verdicts


def _validate_together(batch: Any, suite: Suite, relations: Mapping[Check, str]) -> dict[Check, Verdict]:
    from great_expectations.core import ExpectationSuite

    verdicts = {}
    expectations = []
    for check, relation in relations.items():
        try:
            expectations.append(_expectation(check, relation))
        except Exception as error:  # pydantic's, or Great Expectations' own: the suite's author must see it
            verdicts[check] = Verdict(False, error=without_values(str(error)))
    result = batch.validate(
        ExpectationSuite(name=suite.table, expectations=expectations),
        result_format={
            "result_format": "BOOLEAN_ONLY",
            "unexpected_index_column_names": list(suite.key),
            "return_unexpected_index_query": True,
        },
    )
    by_id = {check.check_id: check for check in relations}
    for entry in result.results:
        check = by_id[entry.expectation_config.meta["check_id"]]
        error_text = _error_of(entry.exception_info)
        query = (entry.result or {}).get("unexpected_index_query")
        verdicts[check] = Verdict(
            bool(entry.success) and not error_text,
            _failing_rows(suite, relations[check], check, query),
            error_text,
        )
    return verdicts


def _expectation(check: Check, relation: str) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    return ExpectationConfiguration(
        type=check.expectation,
        kwargs=_kwargs(check, relation),
        meta={"check_id": check.check_id},
        severity=FailureSeverity(check.severity),
    ).to_domain_obj()


def _kwargs(check: Check, relation: str) -> dict[str, Any]:
    """The arguments for Great Expectations: the row condition is in the relation already.

    {batch} is put in here, because Great Expectations puts in a subquery with an alias of its own, which
    forbids every other alias; it only asks to find {batch} somewhere.
    """
    kwargs = {key: value for key, value in check.kwargs.items() if key != "row_condition"}
    if check.expectation == UNEXPECTED_ROWS:
        query = _unexpected_rows(check, relation).replace("{", "{{").replace("}", "}}")
        kwargs["unexpected_rows_query"] = f"{query} /* {{batch}} */"
    return kwargs


def _unexpected_rows(check: Check, relation: str) -> str:
    return str(check.kwargs["unexpected_rows_query"]).format(batch=relation).rstrip("; \n")


def _error_of(exception_info: Mapping[str, Any] | None) -> str | None:
    """Why a check could not be run, without the values that DuckDB quotes when one does not convert."""
    if not exception_info:
        return None
    entries = [exception_info] if "raised_exception" in exception_info else list(exception_info.values())
    messages = [str(entry["exception_message"]) for entry in entries if entry.get("raised_exception")]
    return without_values(messages[0]) if messages else None


def without_values(message: str) -> str:
    """A database error without the values that it quotes."""
    for kind in ("Conversion", "Invalid Input", "Out of Range", "Constraint"):
        if f"{kind} Error" in message or f"{kind.replace(' ', '')}Exception" in message:
            return f"{kind} Error: a value of the table does not fit the rule (not shown: it may be personal)"
    return " ".join(message.split())[:500]


def _failing_rows(suite: Suite, relation: str, check: Check, index_query: str | None) -> str | None:
    """The query of a check's failing rows; None where the check is about the table as a whole."""
    if check.expectation == UNEXPECTED_ROWS:
        return _unexpected_rows(check, relation)
    if check.expectation == "expect_compound_columns_to_be_unique":
        # Great Expectations' own query joins every row with every duplicate and has an unbound parameter.
        columns = ", ".join(check.kwargs["column_list"])
        twice = f"select {columns} from {relation} group by {columns} having count(*) > 1"
        return f"select {', '.join(suite.key)} from {relation} where ({columns}) in ({twice})"
    return index_query.rstrip("; \n") if index_query else None
