"""The append-only log of the stewards' decisions. Belongs here: writing and reading it. Does not: acting on it."""

import fcntl
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from crm_quality.errors import CrmQualityError

KINDS = ("must_link", "cannot_link", "ghost", "not_ghost", "field_override")
# What a decision about somebody becomes who was to be forgotten: its number stays, so that others keep theirs.
FORGOTTEN = "forgotten"
_PAIR_KINDS = ("must_link", "cannot_link")

Key = tuple[str, str, str]

_COLUMNS = {
    "decision_id": "bigint",
    "decided_at": "timestamp",
    "decided_by": "varchar",
    "kind": "varchar",
    "left_source_system": "varchar",
    "left_source_object": "varchar",
    "left_source_id": "varchar",
    "right_source_system": "varchar",
    "right_source_object": "varchar",
    "right_source_id": "varchar",
    "field": "varchar",
    "value": "varchar",
    "reason": "varchar",
    "undoes": "bigint",
}


@dataclass(frozen=True)
class Decision:
    """One line of the log. `left` and `right` are source keys (system, object, id)."""

    kind: str
    decided_by: str
    reason: str
    left: Key | None = None
    right: Key | None = None
    field: str | None = None
    value: str | None = None
    undoes: int | None = None


def parse_key(text: str) -> Key:
    """`system/object/id` as a key; the id may hold slashes. Raises CrmQualityError."""
    parts = text.split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise CrmQualityError(f"{text!r} is not a record: write it as system/object/id, as in crm/Contact/0031")
    return parts[0], parts[1], parts[2]


def append(log: Path, decision: Decision) -> int:
    """Write a decision; returns its number. Raises CrmQualityError when something it needs is missing.

    Several processes may append at once: each holds the file's lock while it numbers and writes its line.
    """
    with log.open("a+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        entries = _lines(log)
        _check(log, len(entries), decision)
        number = len(entries) + 1
        entry = {"decision_id": number, "decided_at": datetime.now(UTC).isoformat(), **asdict(decision)}
        stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
    return number


def in_force(log: Path) -> list[dict[str, Any]]:
    """The lines of the log that hold, as dictionaries, oldest first: neither undone nor an undo.

    What an undo had undone holds again once the undo is undone. Raises CrmQualityError naming a damaged line.
    """
    undone: set[int] = set()
    standing = []
    for entry in reversed(_lines(log)):
        if entry["decision_id"] in undone or entry["kind"] == FORGOTTEN:
            continue
        if entry["undoes"]:
            undone.add(entry["undoes"])
        else:
            standing.append(entry)
    return standing[::-1]


def load(con: duckdb.DuckDBPyConnection, log: Path) -> int:
    """Make `meta.decision` from the log: the decisions in force, without those that were undone. Returns their number."""
    con.execute(
        "create or replace table meta.decision (" + ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items()) + ")"
    )
    rows = [
        [
            entry["decision_id"], entry["decided_at"], entry["decided_by"], entry["kind"],
            *(entry["left"] or (None, None, None)), *(entry["right"] or (None, None, None)),
            entry["field"], entry["value"], entry["reason"], entry["undoes"],
        ]
        for entry in in_force(log)
    ]  # fmt: skip
    if rows:
        con.executemany(f"insert into meta.decision values ({', '.join('?' * len(_COLUMNS))})", rows)
    return len(rows)


def _lines(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    entries = []
    for number, line in enumerate(log.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            if entry["decision_id"] != number:
                raise ValueError(f"it calls itself decision {entry['decision_id']}, not {number}")
            entries.append(entry)
        except (ValueError, KeyError, TypeError) as error:
            raise CrmQualityError(f"{log}, line {number}: not a decision: {error}. Mend or remove the line.") from error
    return entries


def _check(log: Path, decisions: int, decision: Decision) -> None:
    for name, text in (("who decides", decision.decided_by), ("the reason", decision.reason)):
        if not text.strip():
            raise CrmQualityError(f"{decision.kind}: say {name}; a decision without it cannot be judged later")
    if decision.kind == "undo":
        if not decision.undoes or not 1 <= decision.undoes <= decisions:
            raise CrmQualityError(f"There is no decision {decision.undoes} in {log}; it holds {decisions}.")
        return
    if decision.kind not in KINDS:
        raise CrmQualityError(f"{decision.kind!r} is not a kind of decision; allowed: {', '.join(KINDS)}")
    if not decision.left:
        raise CrmQualityError(f"{decision.kind}: name the record it is about")
    if decision.kind in _PAIR_KINDS and not decision.right:
        raise CrmQualityError(f"{decision.kind}: name both records")
    if decision.kind in _PAIR_KINDS and decision.left == decision.right:
        raise CrmQualityError(f"{decision.kind}: a record and itself are one in any case; name two records")
    if decision.kind == "field_override" and not decision.field:
        raise CrmQualityError("field_override: name the field")
