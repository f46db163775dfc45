"""Great Expectations on the run's own DuckDB connection. Belongs here: its context, quirks and verdicts.

Does not belong here: what becomes of a verdict, how a metric is computed. Importing Great Expectations takes
seconds, so that every import of it stands inside the function that needs it.
"""

import importlib
import logging
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb

from crm_quality.quality.suites import Check

FAILING = "temp.failing_row"

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.validator.validator import Validator


@dataclass(frozen=True)
class Question:
    """What Great Expectations is asked: a check of a relation (`schema.name`) whose rows `key` identifies.

    For a rule in SQL, `rows` is the query of the rows to keep in FAILING.
    """

    check: Check
    relation: str
    key: tuple[str, ...]
    rows: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What Great Expectations says of one check.

    failing_rows selects the failing rows of a check of columns; None if there are none, or a rule has kept them.
    """

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
    importlib.import_module("crm_quality.quality.gx_metrics")
    return context


def validate(con: duckdb.DuckDBPyConnection, questions: Sequence[Question]) -> dict[Check, Verdict]:
    """Great Expectations' verdict on every check.

    Questions on one relation are asked together. Rules in SQL name their relation themselves, so that they all go
    with the first. Not through a data source: Great Expectations writes its whole configuration as YAML for each.
    """
    context = shared_context()
    from great_expectations.validator.validator import Validator

    from crm_quality.quality.gx_metrics import RunEngine

    batches: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        batches[questions[0].relation if question.rows else question.relation].append(question)
    verdicts: dict[Check, Verdict] = {}
    with RunEngine.on(con) as engine:
        validator = Validator(execution_engine=engine, data_context=context)
        for relation, asked in batches.items():
            engine.load(relation)
            verdicts |= _verdicts(validator, relation, asked)
    return verdicts


def _verdicts(validator: "Validator", relation: str, questions: Sequence[Question]) -> dict[Check, Verdict]:
    """One validation. Its queries are shared: what one broken check takes with it is then run alone."""
    verdicts = _validate_together(validator, relation, questions)
    broken = [question for question in questions if verdicts[question.check].error]
    if len(questions) > 1:
        for question in broken:
            verdicts |= _validate_together(validator, relation, [question])
    return verdicts


def _validate_together(validator: "Validator", relation: str, questions: Sequence[Question]) -> dict[Check, Verdict]:
    verdicts = {}
    configurations = []
    for question in questions:
        try:
            configurations.append(_configuration(question, relation))
        except Exception as error:  # pydantic's, or Great Expectations' own: the suite's author must see it
            verdicts[question.check] = Verdict(False, error=without_values(str(error)))
    by_id = {question.check.check_id: question for question in questions}
    for result in validator.graph_validate(configurations, {"result_format": "BOOLEAN_ONLY"}):
        configuration = result.expectation_config
        assert configuration is not None
        question = by_id[configuration.meta["check_id"]]
        error_text = _error_of(result.exception_info)
        success = bool(result.success) and not error_text
        rows = None
        if not error_text and not question.rows and (not success or question.check.kwargs.get("mostly", 1) < 1):
            rows = _failing_rows(validator, question, configuration)
        verdicts[question.check] = Verdict(success, rows, error_text)
    return verdicts


def _configuration(question: Question, relation: str) -> "ExpectationConfiguration":
    """The expectation for Great Expectations, which has accepted it. The row condition is in the relation already.

    {batch} is put in beforehand: Great Expectations puts in a subquery with an alias of its own, which forbids every
    other alias; it only asks to find {batch} somewhere.
    """
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    from crm_quality.quality.gx_metrics import made_once

    check = question.check
    made_once(check.expectation)
    kwargs = {key: value for key, value in check.kwargs.items() if key != "row_condition"}
    if question.rows:
        query = question.rows.replace("{", "{{").replace("}", "}}")
        kwargs["unexpected_rows_query"] = f"{query} /* {{batch}} */"
    configuration = ExpectationConfiguration(
        type=check.expectation,
        kwargs={**kwargs, "batch_id": relation},
        meta={"check_id": check.check_id},
        severity=FailureSeverity(check.severity),
    )
    configuration.to_domain_obj()
    return configuration


def rule(check: Check, relation: str) -> str:
    """The query of a rule in SQL, on its relation."""
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


def _failing_rows(validator: "Validator", question: Question, configuration: "ExpectationConfiguration") -> str | None:
    """The query of a check's failing rows; None where the check is about the table as a whole."""
    from great_expectations.expectations.registry import get_metric_kwargs
    from great_expectations.validator.metric_configuration import MetricConfiguration

    from crm_quality.quality.gx_metrics import repeated_rows

    check = question.check
    if check.expectation == "expect_compound_columns_to_be_unique":
        return repeated_rows(question.relation, check.kwargs["column_list"])
    if check.expectation == "expect_column_values_to_be_unique":
        return repeated_rows(question.relation, [check.kwargs["column"]])
    map_metric = getattr(configuration.to_domain_obj(), "map_metric", None)
    if not map_metric:
        return None
    name = f"{map_metric}.unexpected_index_query"
    result_format = {
        "result_format": "BOOLEAN_ONLY",
        "unexpected_index_column_names": list(question.key),
        "return_unexpected_index_query": True,
    }
    kwargs = get_metric_kwargs(name, configuration, {"result_format": result_format})
    query = validator.get_metric(
        MetricConfiguration(name, kwargs["metric_domain_kwargs"], kwargs["metric_value_kwargs"])
    )
    return str(query).rstrip("; \n")
