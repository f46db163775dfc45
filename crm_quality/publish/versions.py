"""Write, check, swap in and take back published versions. Does not belong here: deciding what a figure is."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from crm_quality.comments import add_comments
from crm_quality.errors import CrmQualityError, PublishRefusedError
from crm_quality.project import Project
from crm_quality.warehouse import literal, scalar, transaction

# What readers get. Raw text, lookups and the workings of a run stay in the warehouse.
SCHEMAS = ("core", "identity", "golden", "marts", "quality")
META_TABLES = ("run", "source", "step", "decision")
# Readers' tools bring a DuckDB of their own, often an older one than ours.
READABLE_SINCE = "v1.0.0"


def refuse_if_doubtful(con: duckdb.DuckDBPyConnection, run_id: str, steps: list[str]) -> None:
    """The gate. Raises PublishRefusedError when a critical check failed, or a table is not of this run."""
    failed = con.execute(
        "select check_id, coalesce(error, failed_rows || ' row(s)') from quality.check_result "
        "where run_id = ? and severity = 'critical' and not success order by check_id",
        [run_id],
    ).fetchall()
    if failed:
        shown = "\n".join(f"  {check}: {what}" for check, what in failed[:20])
        raise PublishRefusedError(
            f"Not published: {len(failed)} critical check(s) failed.\n{shown}\n"
            "Failing rows are in quality.failure of the warehouse; the last published file stays."
        )
    built = {step for (step,) in con.execute("select step from meta.step where run_id = ?", [run_id]).fetchall()}
    stale = sorted(set(steps) - built)
    if stale:
        raise PublishRefusedError(
            f"Not published: {len(stale)} table(s) were not built in this run: {', '.join(stale[:10])}. "
            "Materialise everything, so that the published tables agree with each other."
        )


def publish(con: duckdb.DuckDBPyConnection, project: Project, run_id: str) -> Path:
    """Publish the warehouse: build a version beside the current one, read it back, swap the link; returns the version.

    The run's data docs, where it made any, are published with it. Whatever happens before the swap leaves what
    is published as it was.
    """
    project.published.mkdir(exist_ok=True)
    _remove_leftovers(project)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    version = project.published / f"golden-{stamp}-{run_id[:8]}.duckdb"
    building = version.with_suffix(".building")
    try:
        rows = _write(con, building, run_id)
        _read_back(building, rows)
        _sync(building)
        building.chmod(0o444)
        if project.data_docs.is_dir():
            shutil.copytree(project.data_docs, _docs(version))
        building.rename(version)
        _swap(project, version)
    except BaseException:
        if not version.exists():
            building.unlink(missing_ok=True)
            shutil.rmtree(_docs(version), ignore_errors=True)
        raise
    con.execute("update meta.run set status = 'published', finished_at = now() where run_id = ?", [run_id])
    _forget_old(project)
    return version


def rollback(project: Project) -> Path:
    """Publish the version before the current one again; returns it. Raises CrmQualityError when there is none."""
    versions = published_versions(project)
    current = project.golden.resolve()
    older = [version for version in versions if version.name < current.name]
    if not older:
        raise CrmQualityError(f"{project.published} holds no version before {current.name}; nothing was changed.")
    _swap(project, older[-1])
    # What was taken back is put aside, so that the next run continues from the version that stands.
    current.rename(current.with_suffix(".withdrawn"))
    return older[-1]


def replace_version(project: Project, version: Path, building: Path) -> Path:
    """Put a rewritten file in the place of a version, its docs moved along; returns the version under its new name.

    The name is new and sorts where the old one did: DuckDB caches databases by path, and a reader that has the old
    version open keeps a complete old file.
    """
    new = version.with_stem(f"{version.stem}f")
    _sync(building)
    building.chmod(0o444)
    building.rename(new)
    if _docs(version).is_dir():
        shutil.copytree(_docs(version), _docs(new), dirs_exist_ok=True)
    if project.golden.resolve() == version:
        _swap(project, new)
    version.unlink()
    shutil.rmtree(_docs(version), ignore_errors=True)
    return new


def published_versions(project: Project) -> list[Path]:
    """The versions on disk, oldest first."""
    return sorted(project.published.glob("golden-*.duckdb"))


def published_tables(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """The (schema, table) pairs of the warehouse that readers get, sorted."""
    rows = con.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = current_database() "
        "order by schema_name, table_name"
    ).fetchall()
    return [
        (schema, table) for schema, table in rows if schema in SCHEMAS or (schema == "meta" and table in META_TABLES)
    ]


def _write(con: duckdb.DuckDBPyConnection, target: Path, run_id: str) -> dict[str, int]:
    """Copy the tables with their comments; returns rows by table."""
    rows = {}
    for table in META_TABLES:
        add_comments(con, f"meta.{table}")
    con.execute(f"attach {literal(str(target))} as target (storage_version '{READABLE_SINCE}')")
    try:
        # Two transactions that go straight into the file: a commit for each of several hundred tables and comments, or
        # a log of the whole copy before it, takes longer than the copy; and a table that is commented on before it is
        # committed is compressed twice.
        con.execute("set checkpoint_threshold = '1KB'")
        with transaction(con):
            for schema, table in published_tables(con):
                con.execute(f"create schema if not exists target.{schema}")
                con.execute(f"create table target.{schema}.{table} as select * from {schema}.{table}")
                rows[f"{schema}.{table}"] = scalar(con, f"select count(*) from {schema}.{table}")
        with transaction(con):
            _copy_comments(con)
            con.execute(
                "update target.meta.run set status = 'published', finished_at = now() where run_id = ?", [run_id]
            )
        con.execute("checkpoint target")
    finally:
        con.execute("reset checkpoint_threshold")
        con.execute("detach target")
    return rows


def _copy_comments(con: duckdb.DuckDBPyConnection) -> None:
    tables = con.execute(
        "select schema_name, table_name, comment from duckdb_tables() "
        "where database_name = current_database() and comment is not null"
    ).fetchall()
    columns = con.execute(
        "select schema_name, table_name, column_name, comment from duckdb_columns() "
        "where database_name = current_database() and comment is not null"
    ).fetchall()
    wanted = set(published_tables(con))
    for schema, table, comment in tables:
        if (schema, table) in wanted:
            con.execute(f"comment on table target.{schema}.{table} is {literal(comment)}")
    for schema, table, column, comment in columns:
        if (schema, table) in wanted:
            con.execute(f"comment on column target.{schema}.{table}.{column} is {literal(comment)}")


def _read_back(version: Path, rows: dict[str, int]) -> None:
    with duckdb.connect(str(version), read_only=True) as written:
        for table, expected in rows.items():
            found = scalar(written, f"select count(*) from {table}")
            if found != expected:
                raise PublishRefusedError(
                    f"Not published: {table} reads back with {found} rows instead of {expected}. Is the disk sound?"
                )


def _sync(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _swap(project: Project, version: Path) -> None:
    """Point golden.duckdb, then data_docs, to a version: a reader finds the old file or the new one, never neither.

    The link is replaced, not the file: DuckDB caches databases by path, and a process that has the old
    version open must not be handed it again under the new one's name.
    """
    _link(project.golden, version)
    if _docs(version).is_dir():
        _link(project.published / "data_docs", _docs(version))


def _link(name: Path, target: Path) -> None:
    link = name.with_name(f".{name.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(target.name)
    os.replace(link, name)  # noqa: PTH105


def _docs(version: Path) -> Path:
    """The folder of a version's data docs, beside it."""
    return version.with_name(version.stem.replace("golden", "data_docs", 1))


def _remove_leftovers(project: Project) -> None:
    """What a run that was killed while it published left behind."""
    for building in project.published.glob("*.building*"):
        building.unlink()
    kept = {_docs(version) for version in published_versions(project)}
    for docs in set(project.published.glob("data_docs-*")) - kept:
        shutil.rmtree(docs)


def _forget_old(project: Project) -> None:
    for version in published_versions(project)[: -project.settings.keep_versions]:
        version.unlink()
    for withdrawn in project.published.glob("*.withdrawn"):
        withdrawn.unlink()
    _remove_leftovers(project)
