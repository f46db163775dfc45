"""The console command. Belongs here: arguments, messages, exit codes. Does not: anything worth a unit test."""

import logging
import os
import sys
import warnings
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from crm_quality import decisions
from crm_quality.errors import CrmQualityError
from crm_quality.project import init_project, open_project

app = typer.Typer(
    help="The nightly batch that makes a company's CRM tell the truth.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

ProjectOption = Annotated[Path, typer.Option("--project", help="Project folder", envvar="CRM_QUALITY_PROJECT")]


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="The new project folder")]) -> None:
    """Make a new project folder with commented examples."""
    project = init_project(folder)
    typer.echo(f"Made {project.folder}. Put exports below extracts/, describe them in sources/, then:")
    typer.echo(f"  crm-quality run --project {folder}")


@app.command()
def run(
    project: ProjectOption,
    day: Annotated[str | None, typer.Option("--date", help="Extract date, YYYY-MM-DD (default: newest)")] = None,
) -> None:
    """Run everything for one extract date; exit code 0 only if it was published."""
    from crm_quality.assets.launch import dagster_home, run_nightly
    from crm_quality.summary import print_summary

    opened = open_project(project)
    outcome = run_nightly(opened, dagster_home(opened), day)
    for problem in outcome.problems:
        typer.secho(problem, fg=typer.colors.RED, err=True)
    print_summary(opened, outcome.run_id)
    if not outcome.published:
        typer.echo(f"The steps and their logs: crm-quality ui --project {project}", err=True)
    raise typer.Exit(0 if outcome.published else 1)


@app.command()
def train(project: ProjectOption) -> None:
    """Fit and store a new version of the match model on the last run's records; exit code 1 if one was refused."""
    from crm_quality.identity.pairs import train as train_model
    from crm_quality.warehouse import open_warehouse

    opened = open_project(project)
    with open_warehouse(opened, "crm-quality train") as con:
        decisions.load(con, opened.decisions)
        reports = train_model(con, opened.models)
    for report in reports:
        typer.echo(str(report))
        if pinned := opened.settings.identity.pinned_models.get(report.party_type):
            typer.echo(f"  runs go on with the pinned version {pinned} (identity.pinned_models)")
    raise typer.Exit(1 if any(report.problems for report in reports) else 0)


@app.command()
def sample(
    to: Annotated[Path, typer.Option("--to", help="Folder to write to")],
    customers: Annotated[int, typer.Option(help="Real customers, persons and organisations", min=1)] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed writes the same bytes")] = 1,
    day: Annotated[str, typer.Option("--date", help="Extract date, YYYY-MM-DD")] = "2026-11-21",
    layouts: Annotated[
        str | None,
        typer.Option(help="Systems in their own file shapes, such as hubspot,netsuite, or all (default: three, plain)"),
    ] = None,
) -> None:
    """Write a sample company's extracts, as a project, with the truth beside them."""
    from crm_quality.sample import generate
    from crm_quality.sources.layout import layouts as built_in

    chosen = built_in() if layouts == "all" else layouts.split(",") if layouts else None
    summary = generate(to, customers=customers, seed=seed, extract_date=date.fromisoformat(day), layouts=chosen)
    typer.echo(summary)


sources_app = typer.Typer(help="Look at the source systems of a project.", no_args_is_help=True)
app.add_typer(sources_app, name="sources")


@sources_app.command("check")
def sources_check(project: ProjectOption) -> None:
    """Try every source on a sample of its newest files: what maps, what does not, what looks wrong."""
    from crm_quality.ingest.check import check_source
    from crm_quality.sources.layout import load_sources

    opened = open_project(project)
    faults = 0
    for source in load_sources(opened):
        report = check_source(opened, source)
        faults += report.faults
        for line in report.lines():
            typer.secho(line, fg=typer.colors.RED if line.lstrip().startswith("!") else None)
    typer.echo("Nothing looks wrong." if not faults else f"{faults} thing(s) look wrong: the lines with !")
    raise typer.Exit(1 if faults else 0)


@sources_app.command("layouts")
def sources_layouts() -> None:
    """List the built-in layouts: what they cover, and how they expect files to be written."""
    from crm_quality.sources.overview import layout_table

    typer.echo(layout_table())


@app.command()
def evaluate(
    project: ProjectOption,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="CSV: source_system,source_object,source_id,entity_id; with --quality: a folder with damage.csv and "
            "ghost.csv (default: truth/ of the project)"
        ),
    ] = None,
    quality: Annotated[
        bool, typer.Option("--quality", help="The checks instead: what they find of known damage")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines")] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder for the threshold curve and the lists of all mistakes")
    ] = None,
) -> None:
    """Compare the published customers, or the checks, with a known truth: precision, recall, the worst mistakes.

    Ghosts and related parties are measured, too, where ghost.csv and relation.csv lie beside the truth file.
    """
    from crm_quality.evaluate import Evaluation, write_report
    from crm_quality.evaluate import evaluate as evaluate_truth
    from crm_quality.quality.damage import measure_damage

    opened = open_project(project)
    known = opened.folder / "truth"
    result = (
        measure_damage(opened.golden, truth or known)
        if quality
        else evaluate_truth(opened.golden, truth or known / "entity.csv")
    )
    typer.echo(result.to_json() if as_json else str(result))
    if to and isinstance(result, Evaluation):
        typer.echo("Wrote " + ", ".join(str(file) for file in write_report(result, to)), err=True)


@app.command()
def share(
    project: ProjectOption,
    to: Annotated[Path, typer.Option("--to", help="The file to write")],
    masked: Annotated[bool, typer.Option("--masked", help="Pseudonyms for whatever names a person or company")] = False,
    encrypted: Annotated[bool, typer.Option("--encrypted", help="Needs the key to open")] = False,
) -> None:
    """Copy the published file masked, encrypted or both; keys come from the environment."""
    from crm_quality.publish.share import share as share_copy

    tables = share_copy(open_project(project), to, masked=masked, encrypted=encrypted)
    typer.echo(f"Wrote {tables} tables to {to}.")


@app.command()
def evaluate_fields(
    project: ProjectOption,
    truth: Annotated[Path, typer.Option(help="CSV: source_system,source_object,source_id,entity_id")],
    values: Annotated[Path, typer.Option(help="CSV: entity_id and true values, named as in golden.customer")],
) -> None:
    """Compare golden fields with their true values, beside every single source and "most recent wins"."""
    from crm_quality.field_accuracy import field_accuracy

    for found in field_accuracy(open_project(project).golden, truth, values):
        others = ", ".join(f"{name} {share:.4f}" for name, share in found.baselines.items())
        typer.echo(f"{found.field:14}{found.golden:.4f} of {found.customers:,}   ({others})")


@app.command()
def decide(
    project: ProjectOption,
    kind: Annotated[str, typer.Argument(help="must-link, cannot-link, ghost, not-ghost, field-override or undo")],
    subjects: Annotated[
        list[str],
        typer.Argument(help="One or two records as system/object/id; for undo: the decision's number"),
    ],
    by: Annotated[str, typer.Option(help="Who decides")],
    why: Annotated[str, typer.Option(help="The reason")],
    field: Annotated[str | None, typer.Option(help="field-override: the field")] = None,
    value: Annotated[str | None, typer.Option(help="field-override: its value")] = None,
) -> None:
    """Append a steward's decision; every later run honours it."""
    from crm_quality.identity.decisions import contradictions

    opened = open_project(project)
    if kind == "undo":
        decision = decisions.Decision("undo", by, why, undoes=int(subjects[0]) if subjects[0].isdigit() else None)
    else:
        keys = [decisions.parse_key(subject) for subject in subjects]
        decision = decisions.Decision(
            kind.replace("-", "_"), by, why, keys[0], keys[1] if len(keys) > 1 else None, field, value
        )
    number = decisions.append(opened.decisions, decision)
    typer.echo(f"Decision {number} noted. It takes effect with the next run.")
    for problem in contradictions(decisions.in_force(opened.decisions)):
        against = ", ".join(map(str, problem.against))
        typer.secho(f"Decision {problem.decision_id} {problem.problem} ({against}).", fg=typer.colors.YELLOW, err=True)


@app.command()
def review(
    project: ProjectOption,
    to: Annotated[Path, typer.Option("--to", help="HTML file to write; it shows personal data")],
    pairs: Annotated[int, typer.Option(min=1, help="How many pairs, those worth most first")] = 50,
) -> None:
    """Write the doubtful matches as a page: both records, the reasons, the match weight step by step."""
    from crm_quality.identity.review_page import write_review_page

    written = write_review_page(open_project(project).golden, to, pairs)
    typer.echo(f"{to}: {written:,} pair(s) to decide")


@app.command()
def worklist(
    project: ProjectOption,
    to: Annotated[Path, typer.Option("--to", help="Folder to write to; workbooks of owners with nothing to do go")],
) -> None:
    """Write what has to be done: one XLSX per owner, the most urgent first."""
    from crm_quality.quality.worklist_files import write_worklists

    for file, tasks in write_worklists(open_project(project).golden, to):
        typer.echo(f"{file}: {tasks:,} to do")


@app.command()
def audit(
    project: ProjectOption,
    to: Annotated[Path | None, typer.Option("--to", help="Draw a sample and write it to this XLSX file")] = None,
    read: Annotated[Path | None, typer.Option("--read", help="Take over the verdicts of this XLSX file")] = None,
    by: Annotated[str | None, typer.Option(help="Who judged")] = None,
    table: Annotated[str, typer.Option(help="core.party, core.opportunity or core.sales_order")] = "core.party",
    records: Annotated[int, typer.Option(help="How many records to draw", min=4)] = 120,
) -> None:
    """Let people verify a random sample, drawn by risk, and estimate how much is true; without options: the estimates."""
    from crm_quality.quality import audit as audits
    from crm_quality.quality.audit_accuracy import estimate
    from crm_quality.quality.audit_draw import draw
    from crm_quality.quality.audit_workbook import read_workbook, verdicts, write_audit

    opened = open_project(project)
    if to and read:
        raise CrmQualityError("audit: give --to or --read, not both")
    if to:
        drawn = audits.keep(opened.audits, draw(opened.golden, table, records))
        write_audit(drawn, to)
        typer.echo(f"{to}: {len({item.key for item in drawn.items}):,} records, {len(drawn.items):,} values to verify.")
        typer.echo(f"Then: crm-quality audit --read {to} --by NAME --project {project}")
        return
    known = audits.load(opened.audits)
    if read:
        if not (by or "").strip():
            raise CrmQualityError("audit --read: say who judged (--by NAME)")
        reviewed = read_workbook(read)
        found = audits.find(opened.audits, reviewed.audit)
        new = audits.append(opened.audits, found, verdicts(read, reviewed, found, by or ""))
        typer.echo(f"{new:,} new verdicts; the next run publishes them.")
        known = [audits.find(opened.audits, reviewed.audit)]
    for one in known:
        typer.echo(f"\nAudit of {one.name}, {one.records:,} records")
        for figure in estimate(one):
            typer.echo(f"  {figure}")


@app.command()
def writeback(
    project: ProjectOption,
    to: Annotated[Path | None, typer.Option("--to", help="Folder to write to: one below it per source")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written")] = False,
) -> None:
    """Write what the source systems should merge, correct and deactivate, as files in their own layouts."""
    from crm_quality.writeback.files import write_back

    if not to and not dry_run:
        raise CrmQualityError("Say where to write with --to FOLDER, or look first with --dry-run.")
    for told in write_back(open_project(project), None if dry_run else to):
        for line in told.lines():
            typer.echo(line)


@app.command("forget")
def forget_person(
    project: ProjectOption,
    who: Annotated[str, typer.Argument(help="A customer id, or one of the records as system/object/id")],
    by: Annotated[str, typer.Option(help="Who decides")],
    why: Annotated[str, typer.Option(help="The reason; it is kept, so name nobody in it")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is of the person")] = False,
) -> None:
    """Remove a person from raw to marts, from past versions and all else the project owns, and prove it."""
    from crm_quality.forget.run import forget

    for line in forget(open_project(project), who, by, why, dry_run=dry_run).lines():
        typer.echo(line)


@app.command()
def rollback(project: ProjectOption) -> None:
    """Publish the version before the current one again."""
    from crm_quality.publish.versions import rollback as roll_back

    typer.echo(f"Published again: {roll_back(open_project(project)).name}")


@app.command()
def ui(
    project: ProjectOption,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1")] = 3000,
) -> None:
    """Start the Dagster web server and daemon for a project, on this machine only."""
    from crm_quality.assets.launch import dagster_home

    opened = open_project(project)
    environment = {
        **os.environ,
        "CRM_QUALITY_PROJECT": str(opened.folder),
        "DAGSTER_HOME": str(dagster_home(opened)),
    }
    command = [sys.executable, "-m", "dagster", "dev", "-m", "crm_quality.definitions"]
    # The open-source web server has no login: it must not listen to the network.
    os.execve(sys.executable, [*command, "-h", "127.0.0.1", "-p", str(port)], environment)


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: an error that the user can mend is printed without a traceback, with exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # Some libraries set their own loggers to INFO.
    logging.getLogger().handlers[0].setLevel(logging.WARNING)
    # Splink comments on every parameter; what matters of it is in the model's file.
    logging.getLogger("splink").setLevel(logging.ERROR)
    # PyTensor says so of a part that nobody here uses, whoever imports it.
    warnings.filterwarnings("ignore", "xtensor module is experimental")
    try:
        return app(args=arguments)
    except CrmQualityError as error:
        typer.secho(str(error), fg=typer.colors.RED, err=True)
        sys.exit(1)
