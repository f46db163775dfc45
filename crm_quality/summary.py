"""The one-screen summary of a run. Belongs here: reading figures that tables hold. Does not: computing them."""

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crm_quality.project import Project
from crm_quality.warehouse import has_table, locked


def print_summary(project: Project, run_id: str, console: Console | None = None) -> None:
    """Print what a run read, found and published, and where the time went."""
    console = console or Console()
    with locked(project, "summary"), duckdb.connect(str(project.warehouse), read_only=True) as con:
        if not con.execute("select 1 from meta.run where run_id = ?", [run_id]).fetchone():
            return
        _print_figures(con, run_id, console)
        _print_checks(con, run_id, console)
        if has_table(con, "quality", "audit_accuracy"):
            _print_audits(con, console)
        _print_layers(con, run_id, console)
        _print_troubles(con, run_id, console)
        published = con.execute("select 1 from meta.run where run_id = ? and status = 'published'", [run_id]).fetchone()
    docs = project.published / "data_docs" if published else project.data_docs
    if project.golden.exists():
        label = "Published   " if published else "Still published"
        console.print(f"{label} {project.golden} -> {project.golden.resolve().name}", soft_wrap=True)
    if docs.exists():
        console.print(f"Data docs    {docs / 'index.html'}", soft_wrap=True)


def _print_figures(con: duckdb.DuckDBPyConnection, run_id: str, console: Console) -> None:
    row = con.execute("select * from meta.run where run_id = ?", [run_id]).fetchone()
    assert row is not None and con.description is not None
    run = dict(zip((column[0] for column in con.description), row, strict=True))
    console.print(f"\n[bold]Run {run_id[:8]} for {run['extract_date']}: {run['status']}[/bold]")
    if run["customers"] is None:
        return
    parties, merged = _one(con, "select count(*), count(*) - count(distinct customer_id) from golden.customer_xref")
    ghosts, suspects = _one(
        con,
        "select count(*) filter (verdict = 'ghost'), count(*) filter (verdict = 'suspect') from quality.ghost_verdict",
    )
    figures = {
        "Lines read": run["rows_read"],
        "Lines rejected": run["rows_rejected"],
        "Rows in quarantine": run["rows_quarantined"],
        "Party records": parties,
        "Duplicates merged": merged,
        "Ghosts (suspects)": f"{ghosts:,} ({suspects:,})",
        "Customers": run["customers"],
    }
    for name, value in figures.items():
        console.print(f"{name:<19} {value if isinstance(value, str) else f'{value:,}':>12}")


def _print_checks(con: duckdb.DuckDBPyConnection, run_id: str, console: Console) -> None:
    rows = con.execute(
        """select dimension, count(*) filter (success), count(*) filter (not success),
                  count(*) filter (success is null), sum(failed_rows)
        from quality.check_result where run_id = ? group by dimension order by dimension""",
        [run_id],
    ).fetchall()
    if not rows:
        return
    table = Table("Checks", "passed", "failed", "not applicable", "failing rows", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for dimension, *counts in rows:
        table.add_row(dimension, *(f"{int(count or 0):,}" for count in counts))
    console.print(table)


def _print_audits(con: duckdb.DuckDBPyConnection, console: Console) -> None:
    """What people found in the last audit of each table, beside what the rules say of the same values."""
    rows = con.execute(
        """select table_name, max(extract_date), max_by(accuracy, extract_date), max_by(accuracy_low, extract_date),
                  max_by(accuracy_high, extract_date), max_by(rule_accuracy, extract_date)
        from quality.audit_accuracy where field = 'all' and accuracy is not null group by table_name order by table_name"""
    ).fetchall()
    for table, day, true, low, high, rules in rows:
        console.print(
            f"Audit        {table} of {day}: {true:.1%} true ({low:.1%} to {high:.1%}); the rules say {rules:.1%}",
            soft_wrap=True,
        )


def _print_layers(con: duckdb.DuckDBPyConnection, run_id: str, console: Console) -> None:
    rows = con.execute(
        "select layer, sum(seconds) from meta.step where run_id = ? group by layer order by min(finished_at)",
        [run_id],
    ).fetchall()
    total = sum(seconds for _, seconds in rows)
    parts = ", ".join(f"{layer} {seconds:.1f}" for layer, seconds in rows)
    console.print(f"Seconds      {total:.1f} in steps: {parts}", soft_wrap=True)


def _print_troubles(con: duckdb.DuckDBPyConnection, run_id: str, console: Console) -> None:
    """What is wrong with extracts, but not so wrong that nothing is published: critical troubles refuse the publish."""
    rows = con.execute(
        """select error from quality.check_result
        where run_id = ? and severity = 'warning' and not success and error is not null and table_name like 'raw.%'
        order by check_id""",
        [run_id],
    ).fetchall()
    for line in [line for (error,) in rows for line in error.splitlines()]:
        console.print(f"[yellow]Look at[/yellow]      {escape(line)}", soft_wrap=True)


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    row = con.execute(sql).fetchone()
    assert row is not None
    return row
