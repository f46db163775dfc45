"""Forget one person everywhere and prove it. Belongs here: the order of things. Does not: how one file is cleaned."""

import json
import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.forget import database, files
from crm_quality.forget.lines import keys_looked_up, take_out
from crm_quality.forget.subject import Subject, find_subject, find_texts, mark
from crm_quality.ingest import suppression
from crm_quality.ingest.suppression import ANY_OBJECT, LOOK_UP
from crm_quality.project import Project
from crm_quality.publish.share import share
from crm_quality.publish.versions import published_versions, replace_version
from crm_quality.settings import secret
from crm_quality.sources.layout import load_sources
from crm_quality.warehouse import literal, locked

# What other lines refer to by its id: an order of the person is known to its lines by its number alone.
_CONTAINERS = ("opportunity", "sales_order", "ticket", "invoice")


@dataclass
class Proof:
    """What was done and what was looked for; nothing in it tells who it was about."""

    forgotten_at: str
    by: str
    why: str
    records: int
    rows_removed: dict[str, dict[str, int]] = field(default_factory=dict)
    texts_searched: int = 0
    texts_that_others_have_too: int = 0
    files_searched: dict[str, int] = field(default_factory=dict)
    still_found_in: list[str] = field(default_factory=list)
    suppressed: int = 0
    your_files_that_still_hold_the_person: dict[str, list[int]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The proof in words."""
        rows = sum(sum(tables.values()) for tables in self.rows_removed.values())
        said = [
            f"{self.records} record(s) of the customer; {rows:,} row(s) removed from {len(self.rows_removed)} file(s).",
            f"{self.texts_searched} text(s) searched for in {len(self.files_searched)} file(s) of the project: found in "
            f"{len(self.still_found_in)}. {self.texts_that_others_have_too} more stay, because others have them, too.",
        ]
        for file, lines in self.your_files_that_still_hold_the_person.items():
            shown = ", ".join(map(str, lines[:20])) + (" ..." if len(lines) > 20 else "")
            said.append(f"Yours to clean: {file}" + (f", line {shown}" if lines else ""))
        return said + self.remarks


def forget(project: Project, named: str, by: str, why: str, *, dry_run: bool) -> Proof:
    """Remove a customer from raw to marts, past versions and all else the project owns; keep them out from then on.

    `named` is a customer id or a record (system/object/id), which stands for its whole customer. The proof is written to
    forgotten/. Extracts belong to whoever put them there: the lines that still hold the person are named instead.
    Raises CrmQualityError where nobody is so named, the suppression key is missing, or something could not be removed.
    """
    secret(suppression.KEY)
    with locked(project, "crm-quality forget"):
        versions = published_versions(project)
        if not versions:
            raise CrmQualityError(f"{project.published} holds no published version; `crm-quality run` makes one.")
        with duckdb.connect(str(project.golden.resolve()), read_only=True) as con:
            subject = find_subject(con, named)
        shared: set[str] = set()
        for file in [*versions, project.warehouse]:
            _learn(file, subject, shared)
        subject.texts = sorted({*subject.texts, subject.customer_id} - shared)
        proof = Proof(datetime.now(UTC).isoformat(timespec="seconds"), by, why, len(subject.records))
        proof.texts_searched, proof.texts_that_others_have_too = len(subject.texts), len(shared)
        if not dry_run:
            _forget_everywhere(project, subject, versions, proof)
        _search(project, subject, proof)
        if dry_run:
            return proof
        folder = project.folder / "forgotten"
        folder.mkdir(exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        (folder / f"{stamp}.json").write_text(
            json.dumps(asdict(proof), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
        proof.remarks.append(f"The proof is {folder / f'{stamp}.json'}.")
    if proof.still_found_in:
        raise CrmQualityError(
            f"Not forgotten everywhere: still found in {', '.join(proof.still_found_in)}. Run the command again; "
            "when it helps nothing, remove these files."
        )
    return proof


def _learn(file: Path, subject: Subject, shared: set[str]) -> None:
    """The texts of the person in one file, and those of them that others have."""
    if not file.exists():
        return
    with duckdb.connect(str(file), read_only=True) as con:
        mark(con, subject.records)
        texts, others = find_texts(con)
        keys = con.execute("select concat_ws('|', source_system, source_object, source_id) from forgotten").fetchall()
    subject.texts += texts
    subject.keys.update(key for (key,) in keys)
    shared.update(others)


def _forget_everywhere(project: Project, subject: Subject, versions: list[Path], proof: Proof) -> None:
    features = _warehouse(project, subject, proof)
    for leftover in [*project.published.glob("*.withdrawn"), *project.published.glob("*.building*")]:
        leftover.unlink()
    shutil.rmtree(project.spill, ignore_errors=True)
    _note(proof, project.decisions, project, files.decided(project.decisions, subject.records))
    in_logs = [*subject.texts, *sorted(subject.keys)]
    for file in sorted(_owned(project)):
        if file.suffix == ".parquet":
            _note(proof, file, project, files.thin_out(file, {*subject.texts, *features}))
        elif file.suffix == ".db":
            _note(proof, file, project, files.black_out_history(file, in_logs))
        elif files.is_text(file):
            _note(proof, file, project, files.black_out(file, in_logs))
    # The current version is the last to go: until then, the command can be given again where it was interrupted.
    for version in sorted(versions, key=lambda one: (one == project.golden.resolve(), one)):
        _version(project, version, subject, proof)
    _analyst_copy(project, proof)


def _note(proof: Proof, file: Path, project: Project, rows: int) -> None:
    if rows:
        proof.rows_removed[str(file.relative_to(project.folder))] = {"": rows}


def _warehouse(project: Project, subject: Subject, proof: Proof) -> list[str]:
    """Take the person out of the warehouse; returns what only their records gave the match models to learn from."""
    sources = load_sources(project)
    with duckdb.connect(str(project.warehouse), config={"temp_directory": str(project.spill)}) as con:
        con.execute("drop schema if exists previous cascade")
        mark(con, subject.records)
        features = _features(con)
        entries = suppression.hashes([*_subjects(con), *_looked_up(con, project)])
        suppression.append(project, entries)
        proof.suppressed = len(entries)
        gone: Counter[str] = Counter()
        lines: dict[str, set[int]] = {}
        con.execute("alter table meta.loaded_file add column if not exists suppressed bigint default 0")
        for source in sources:
            for name in source.objects:
                for file, line in take_out(con, project, source, name):
                    gone[f"raw.{source.raw_table(name)}"] += 1
                    lines.setdefault(file, set()).add(line)
        proof.your_files_that_still_hold_the_person = {file: sorted(found) for file, found in sorted(lines.items())}
        gone += database.erase(con, subject.texts)
        con.execute("checkpoint")
    proof.rows_removed[project.warehouse.name] = dict(sorted(gone.items()))
    building = project.warehouse.with_suffix(".building")
    database.rewrite(project.warehouse, building)
    os.replace(building, project.warehouse)  # noqa: PTH105
    return features


def _subjects(con: duckdb.DuckDBPyConnection) -> list[suppression.Subject]:
    rows = con.execute(
        f"""select kind, source_system, source_object, source_id from forgotten
        union
        select kind, source_system, '{ANY_OBJECT}', source_id from forgotten
        where kind = 'party' and is_first or kind in {_CONTAINERS}"""
    ).fetchall()
    return [(kind, system, name, source_id) for kind, system, name, source_id in rows]


def _looked_up(con: duckdb.DuckDBPyConnection, project: Project) -> list[suppression.Subject]:
    """Lines of other objects that only lines about the person look up, such as an address that is kept apart."""
    con.execute("create or replace temp table about_person as select unnest(?) as text", [
        ["|".join(one) for one in _subjects(con)]
    ])  # fmt: skip
    found: list[suppression.Subject] = []
    for source in load_sources(project):
        for name in source.objects:
            days = con.execute(
                "select distinct extract_date from meta.loaded_file where source_system = ? and source_object = ?",
                [source.name, name],
            ).fetchall()
            for (day,) in days:
                for other, select in keys_looked_up(con, source, name, day):
                    rows = con.execute(
                        f"select key from ({select}) where key <> '' group by key "
                        "having bool_and(list_has_any(texts, (select list(text) from about_person)))"
                    ).fetchall()
                    found += [(LOOK_UP, source.name, other, key) for (key,) in rows]
    return found


def _features(con: duckdb.DuckDBPyConnection) -> list[str]:
    values: list[str] = []
    for schema, table, columns in database.tables(con):
        if schema != "identity" or not table.endswith("_feature"):
            continue
        mine = "record_number in (select record_number from identity.record inner join forgotten using (source_system, source_object, source_id))"
        for column in [f'"{name}"' for name, kind in columns.items() if kind == "VARCHAR"]:
            rows = con.execute(
                f"select distinct {column} from identity.{table} where {mine} and strlen({column}) >= 6 "
                f"except select {column} from identity.{table} where not {mine}"
            ).fetchall()
            values += [value for (value,) in rows]
    return values


def _version(project: Project, version: Path, subject: Subject, proof: Proof) -> None:
    """Write a version anew without the person, then put it in the place of the old one."""
    draft, building = version.with_suffix(".building0"), version.with_suffix(".building")
    shutil.copyfile(version, draft)
    with duckdb.connect(str(draft)) as con:
        mark(con, subject.records)
        gone = database.erase(con, subject.texts)
    database.rewrite(draft, building)
    draft.unlink()
    new = replace_version(project, version, building)
    proof.rows_removed[str(new.relative_to(project.folder))] = dict(sorted(gone.items()))


def _analyst_copy(project: Project, proof: Proof) -> None:
    """A masked copy keeps pseudonyms, and an encrypted one cannot be searched: it is made again from what is left."""
    if not project.analyst_copy.exists():
        return
    project.analyst_copy.unlink()
    copy = project.settings.analyst_copy
    try:
        if copy:
            share(project, project.analyst_copy, masked=copy.masked, encrypted=copy.encrypted)
    except CrmQualityError as error:
        proof.remarks.append(f"The copy for analysts was removed and not made again: {error}")


def _owned(project: Project) -> list[Path]:
    """All files that the project itself writes."""
    folders = (
        project.published, project.data_docs, project.models, project.audits, project.dagster_home, project.spill,
    )  # fmt: skip
    single = (project.decisions, project.suppressed, project.warehouse, *project.folder.glob("warehouse.*"))
    found = {file for folder in folders for file in folder.rglob("*") if file.is_file() and not file.is_symlink()}
    return sorted({*found, *(file for file in single if file.is_file())})


def _search(project: Project, subject: Subject, proof: Proof) -> None:
    """Look for every text among the bytes of every file, and in the texts of every table, which DuckDB compresses."""
    owned = _owned(project)
    for file in owned:
        shown = str(file.relative_to(project.folder))
        proof.files_searched[shown] = file.stat().st_size
        names = subject.texts if file.suffix == ".duckdb" else [*subject.texts, *sorted(subject.keys)]
        if files.holds(file, names) or _holds_rows(project, file, subject):
            proof.still_found_in.append(shown)
    mine = {*owned, *(project.folder / "forgotten").glob("*")}
    for file in sorted(project.folder.rglob("*")):
        inside_links = any(parent.is_symlink() for parent in file.parents)
        if file in mine or not file.is_file() or file.is_symlink() or inside_links:
            continue
        shown = str(file.relative_to(project.folder))
        lines = sorted(
            {*files.lines_that_hold(file, subject.texts), *proof.your_files_that_still_hold_the_person.get(shown, [])}
        )
        if lines:
            proof.your_files_that_still_hold_the_person[shown] = lines


def _holds_rows(project: Project, file: Path, subject: Subject) -> bool:
    if file == project.analyst_copy:
        return False  # made from what is left; an encrypted one opens for nobody without its key
    if file.suffix == ".parquet":
        with duckdb.connect() as con:
            con.execute(f"create table content as from read_parquet({literal(str(file))})")
            return bool(database.remaining(con, subject.texts))
    if not file.name.endswith(".duckdb"):
        return False
    with duckdb.connect(str(file), read_only=True) as con:
        return bool(database.remaining(con, subject.texts))
