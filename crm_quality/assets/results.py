"""The last assets of a run: what the checks found, and the published file. Does not belong here: checks, file handling."""

import time
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from crm_quality.assets.table import OWNERS, column_schema
from crm_quality.assets.warehouse import OpenRun
from crm_quality.comments import add_comments
from crm_quality.errors import PublishRefusedError
from crm_quality.ingest.raw import changed_since_loaded
from crm_quality.publish.share import check_keys, share
from crm_quality.publish.versions import publish, refuse_if_doubtful
from crm_quality.quality.data_docs import build_data_docs
from crm_quality.quality.results import RESULT_TABLES, forget_other_results
from crm_quality.quality.suites import Suite
from crm_quality.run import count_run, note_step
from crm_quality.warehouse import scalar


def results_asset(names: Sequence[str]) -> dg.AssetsDefinition:
    """The results of the checks of all tables, which each wrote its own."""

    @dg.multi_asset(
        name="results",
        specs=[
            dg.AssetSpec(
                ["quality", table],
                deps=[name.split(".") for name in names],
                group_name="quality",
                description=description,
                owners=[OWNERS["quality"]],
                kinds={"duckdb"},
            )
            for table, (description, _) in RESULT_TABLES.items()
        ],
    )
    def asset(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[OpenRun]
    ) -> Iterator[dg.MaterializeResult]:
        started = time.perf_counter()
        forget_other_results(warehouse.con, warehouse.run.run_id, warehouse.run.extract_date)
        seconds = time.perf_counter() - started
        for table, (description, _) in RESULT_TABLES.items():
            add_comments(warehouse.con, f"quality.{table}", description)
            rows = scalar(warehouse.con, f"select count(*) from quality.{table}")
            note_step(warehouse.con, warehouse.run, "quality", f"quality.{table}", rows, seconds)
            seconds = 0.0  # one step made all three
            yield dg.MaterializeResult(
                asset_key=["quality", table],
                metadata={
                    "dagster/row_count": rows,
                    "dagster/column_schema": column_schema(warehouse, "quality", table),
                },
            )

    return asset


def published_asset(names: Sequence[str], suites: Mapping[str, Suite]) -> dg.AssetsDefinition:
    """The file that readers open, made only from tables of this run whose critical checks passed."""

    @dg.asset(
        key=["published", "golden"],
        deps=[name.split(".") for name in names],
        group_name="published",
        description=(
            "published/golden.duckdb: core, identity, golden, marts and quality as of this run, read-only, swapped in "
            "at once; and the data docs. Refused when a critical check failed."
        ),
        owners=[OWNERS["published"]],
        kinds={"duckdb"},
    )
    def asset(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[OpenRun]) -> dg.MaterializeResult:
        con, project, run = warehouse.con, warehouse.project, warehouse.run
        count_run(con, run)
        started = time.perf_counter()
        build_data_docs(con, project.data_docs, run.run_id, suites)
        note_step(con, run, "published", "data docs", 1, time.perf_counter() - started)
        refuse_if_doubtful(con, run.run_id, list(names))
        _refuse_if_still_arriving(warehouse)
        started = time.perf_counter()
        copy = project.settings.analyst_copy
        if copy:
            check_keys(masked=copy.masked, encrypted=copy.encrypted)
        version = publish(con, project, run.run_id)
        if copy:
            share(project, project.analyst_copy, masked=copy.masked, encrypted=copy.encrypted)
        note_step(con, run, "published", "published.golden", 1, time.perf_counter() - started)
        failed = con.execute(
            "select severity, count(*) from quality.check_result where run_id = ? and not success group by all",
            [run.run_id],
        ).fetchall()
        return dg.MaterializeResult(
            metadata={
                "version": version.name,
                "bytes": version.stat().st_size,
                "customers": scalar(con, "select count(*) from golden.customer"),
                **{f"failed checks, {severity}": count for severity, count in failed},
            }
        )

    return asset


def _refuse_if_still_arriving(warehouse: OpenRun) -> None:
    """The run itself is the time for which a file must have stood still. Raises PublishRefusedError."""
    changed = changed_since_loaded(warehouse.con, warehouse.project, warehouse.sources, warehouse.run.extract_date)
    if changed:
        raise PublishRefusedError(
            f"Not published: written to after it was loaded: {', '.join(changed)}. Run again when the delivery is complete."
        )
