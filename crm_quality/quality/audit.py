"""What an audit is, and the file that keeps it with its verdicts. Does not belong here: drawing, workbooks, estimates.

An audit is a random sample of the records of one table on one day of extracts, for people to verify. Its file is
append-only: the first line says what was drawn and from how many, every later line is a verdict.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from crm_quality.errors import CrmQualityError

VERDICTS = ("right", "wrong", "cannot tell")
ALL_FIELDS = "all"


@dataclass(frozen=True)
class Stratum:
    """How much there is of a risk, for one field or all of them: records that have a value, values, and refused values."""

    risk: str
    field: str
    records: int
    cells: int
    refused: int


@dataclass(frozen=True)
class Item:
    """One value to verify. `refused`: a rule says that it is wrong, which the reviewer is not told."""

    item: int
    risk: str
    source_system: str
    source_object: str
    source_id: str
    owner: str | None
    name: str | None
    field: str
    value: str
    refused: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """The record."""
        return self.source_system, self.source_object, self.source_id


@dataclass(frozen=True)
class Verdict:
    """What a person found: right, wrong, or cannot tell. Of several about one item the last counts."""

    item: int
    verdict: str
    right_value: str | None
    remark: str | None
    judged_by: str
    judged_at: str


@dataclass(frozen=True)
class Audit:
    """One sample with what is known of it so far."""

    extract_date: date
    table: str
    records: int
    strata: tuple[Stratum, ...]
    items: tuple[Item, ...]
    verdicts: tuple[Verdict, ...] = ()

    @property
    def name(self) -> str:
        """`2026-11-21 core.party`."""
        return f"{self.extract_date} {self.table}"

    def standing(self) -> dict[int, Verdict]:
        """The verdict that counts, by item."""
        return {verdict.item: verdict for verdict in self.verdicts}


def keep(folder: Path, audit: Audit) -> Audit:
    """Write down what was drawn; where the day and table have an audit already, that one is returned as it stands.

    Raises CrmQualityError if that one has another size: whoever could draw until the sample pleases would estimate
    nothing.
    """
    file = _file(folder, audit.extract_date, audit.table)
    if file.exists():
        known = read(file)
        if known.records != audit.records:
            raise CrmQualityError(
                f"{file}: the audit of {known.name} was drawn with {known.records} records, and stays so; "
                "another sample can be drawn from the extract of another day"
            )
        return known
    folder.mkdir(exist_ok=True)
    building = file.with_suffix(".building")
    drawn = {**asdict(audit), "extract_date": audit.extract_date.isoformat()}
    del drawn["verdicts"]
    building.write_text(json.dumps(drawn, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(building, file)  # noqa: PTH105
    return audit


def find(folder: Path, name: str) -> Audit:
    """The audit of a name, such as `2026-11-21 core.party`. Raises CrmQualityError where there is none."""
    audits = {audit.name: audit for audit in load(folder)}
    if name not in audits:
        raise CrmQualityError(f"{folder}: no audit {name!r} was drawn here; there is {', '.join(audits) or 'none'}")
    return audits[name]


def load(folder: Path) -> list[Audit]:
    """All audits of a project, the oldest first. Raises CrmQualityError naming a damaged file and line."""
    return [read(file) for file in sorted(folder.glob("*.jsonl"))]


def read(file: Path) -> Audit:
    """One audit. Raises CrmQualityError naming the damaged line."""
    number = 1
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        drawn = json.loads(lines[0])
        audit = Audit(
            date.fromisoformat(drawn["extract_date"]),
            drawn["table"],
            drawn["records"],
            tuple(Stratum(**stratum) for stratum in drawn["strata"]),
            tuple(Item(**item) for item in drawn["items"]),
        )
        verdicts = []
        for number in range(2, len(lines) + 1):
            verdicts.append(Verdict(**json.loads(lines[number - 1])))
        return replace(audit, verdicts=tuple(verdicts))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CrmQualityError(
            f"{file}, line {number}: not as an audit writes it: {error}. Mend or remove it."
        ) from error


def append(folder: Path, audit: Audit, verdicts: Sequence[Verdict]) -> int:
    """Add the verdicts that say something new; returns how many that were."""
    file = _file(folder, audit.extract_date, audit.table)
    with file.open("a+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        known = {item: _said(verdict) for item, verdict in read(file).standing().items()}
        fresh = [verdict for verdict in verdicts if known.get(verdict.item) != _said(verdict)]
        stream.writelines(json.dumps(asdict(verdict), ensure_ascii=False) + "\n" for verdict in fresh)
    return len(fresh)


def now() -> str:
    """The moment a verdict is noted; no figure depends on it."""
    return datetime.now(UTC).isoformat()


def _said(verdict: Verdict) -> tuple[str, str | None, str | None]:
    return verdict.verdict, verdict.right_value, verdict.remark


def _file(folder: Path, day: date, table: str) -> Path:
    return folder / f"{day}.{table}.jsonl"
