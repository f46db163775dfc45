"""Publish a run's check results as Great Expectations Data Docs. Does not belong here: running checks.

The pages are made from quality.check_result, which holds counts and nothing else: no value of a record can
reach them.
"""

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from crm_quality.quality.gx import shared_context
from crm_quality.quality.suites import UNEXPECTED_ROWS, Check, Suite

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

_SITE = "data_docs"


def build_data_docs(con: duckdb.DuckDBPyConnection, folder: Path, run_id: str, suites: Mapping[str, Suite]) -> Path:
    """Make folder/index.html from the results of a run; what was there before is replaced at once.

    Checks that do not apply are left out: Great Expectations knows only passed and failed.
    """
    results = _results(con, run_id, suites)
    building = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    _render(results, building)
    _list_pages(results, building)
    _swap(building, folder)
    return folder / "index.html"


def _list_pages(results: Sequence["ExpectationSuiteValidationResult"], folder: Path) -> None:
    """Great Expectations draws its table of contents by scripts from the network: where there is none, a list leads on."""
    index = folder / "index.html"
    pages = {page.stem: page.relative_to(folder).as_posix() for page in folder.glob("validations/**/*.html")}
    lines = (
        f'<li><a href="{pages[result.suite_name]}">{result.suite_name}</a>: '
        f"{result.statistics['successful_expectations']} of {result.statistics['evaluated_expectations']} passed</li>"
        for result in results
    )
    listed = f"<details open><summary>All tables</summary><ul>{''.join(lines)}</ul></details>"
    text = index.read_text(encoding="utf-8")
    index.write_text(text.replace("<footer>", f"{listed}<footer>", 1), encoding="utf-8")


def _swap(building: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    building.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _results(
    con: duckdb.DuckDBPyConnection, run_id: str, suites: Mapping[str, Suite]
) -> list["ExpectationSuiteValidationResult"]:
    shared_context()
    rows = con.execute(
        "select check_id, success, evaluated_rows, failed_rows, error, checked_at from quality.check_result"
        " where run_id = ? and success is not null",
        [run_id],
    ).fetchall()
    found = {row[0]: row[1:] for row in rows}
    return [
        _suite_result(suite, present, found, run_id)
        for suite in suites.values()
        if (present := [check for check in suite.checks if check.check_id in found])
    ]


def _suite_result(
    suite: Suite, checks: Sequence[Check], found: Mapping[str, tuple[Any, ...]], run_id: str
) -> "ExpectationSuiteValidationResult":
    import great_expectations as gx
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult

    results = [_check_result(check, *found[check.check_id][:4]) for check in checks]
    passed = sum(bool(result.success) for result in results)
    checked_at: datetime = max(found[check.check_id][4] for check in checks)
    return ExpectationSuiteValidationResult(
        success=passed == len(results),
        results=results,
        suite_name=suite.table,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100 * passed / len(results),
        },
        meta={
            "batch_kwargs": {"data_asset_name": suite.table},
            "run_id": {"run_name": run_id, "run_time": checked_at.isoformat()},
            "great_expectations_version": gx.__version__,
        },
    )


def _check_result(
    check: Check, success: bool, evaluated: int, failed: int, error: str | None
) -> "ExpectationValidationResult":
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    percent = 100 * failed / evaluated if evaluated else 0.0
    counts: dict[str, Any] = {
        "element_count": evaluated,
        "unexpected_count": failed,
        "unexpected_percent": percent,
        "unexpected_percent_total": percent,
        "unexpected_percent_nonmissing": percent,
    }
    if check.expectation == UNEXPECTED_ROWS:
        counts["observed_value"] = failed
    return ExpectationValidationResult(
        success=success,
        expectation_config=ExpectationConfiguration(
            type=check.expectation,
            kwargs=dict(check.kwargs),
            description=_description(check, error),
            severity=FailureSeverity(check.severity),
        ),
        result=counts,
        exception_info={
            "raised_exception": error is not None,
            "exception_message": error,
            "exception_traceback": None,
        },
    )


def _description(check: Check, error: str | None) -> str:
    """What a page shows of an expectation; Great Expectations shows one text only."""
    text = f"{check.description or check.expectation} {check.why}"
    about = f"{check.name}: {check.severity}, {check.dimension}, {check.owner}"
    return f"{text} ({about})" + (f" COULD NOT BE RUN: {error}" if error else "")


def _render(results: Sequence["ExpectationSuiteValidationResult"], folder: Path) -> None:
    """Great Expectations' own site builder, on a context that holds nothing but these results."""
    import great_expectations as gx
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    context = gx.get_context(mode="ephemeral")
    for site in list(context.get_site_names()):
        context.delete_data_docs_site(site)
    context.add_data_docs_site(
        site_name=_SITE,
        site_config={  # type: ignore[typeddict-unknown-key]
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(folder.resolve()),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            # The pages of results show every expectation; pages of bare suites would only repeat them.
            "site_section_builders": {"expectations": "None", "profiling": "None"},
        },
    )
    for result in results:
        meta: Mapping[str, Any] = dict(result.meta)
        run = RunIdentifier(**meta["run_id"])
        key = ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(result.suite_name),
            run_id=run,
            batch_identifier=result.suite_name,
        )
        context.validation_results_store.set(key, result)
    context.build_data_docs(site_names=[_SITE])
