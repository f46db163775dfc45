"""Write a system's export as exports/<layout>.yaml describes it, with the truth of each cell. Not here: the values."""

# mypy: disable-error-code="no-any-return"
# (numpy types what is computed from text columns as Any.)

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from crm_quality.sample.canonical import KIND_OF_OBJECT
from crm_quality.sample.columns import (
    Array,
    Frame,
    Text,
    blank,
    choose,
    day_text,
    decimal_text,
    digits,
    epoch_milliseconds,
    is_missing,
    moment_text,
    per_value,
    sap_decimal_text,
    take,
    text,
)
from crm_quality.sample.dirt import DamageLog, DirtRates
from crm_quality.sample.files import Dialect, ExtractFolder, append_csv, pack
from crm_quality.sample.identifiers import renumbered
from crm_quality.sample.records import FXIAOKE, OBJECTS, SALESFORCE, SAP, SYSTEMS
from crm_quality.sources.layout import canonical

_FOLDER = Path(__file__).parent / "exports"
_SYSTEMS = {"crm": SALESFORCE, "fxiaoke": FXIAOKE, "erp": SAP}
# Which canonical object a kind of record is.
TABLE_OF_KIND = {
    **dict.fromkeys(("account", "contact", "lead", "customer"), "party"),
    **dict.fromkeys(("interaction", "meeting"), "interaction"),
    **{kind: kind for kind in ("opportunity", "ticket", "product", "invoice", "payment")},
    "stage": "opportunity_stage", "survey": "survey_response", "loyalty": "loyalty_event", "referral": "referral",
    "response": "campaign_response", "order": "sales_order", "line": "order_line",
}  # fmt: skip

# The objects that damage is noted of, by the names they have in the default sample.
_KIND_OF_NAME = dict(zip(OBJECTS.tolist(), KIND_OF_OBJECT.tolist(), strict=True)) | {
    "Opportunity": "opportunity", "NewOpportunityObj": "opportunity", "Task": "interaction", "Event": "meeting",
    "ActiveRecordObj": "interaction", "VBAK": "order",
}  # fmt: skip


class Meaning(NamedTuple):
    """That a cell tells a canonical column: from which column of the frame, and how it is written."""

    target: str
    column: str
    spec: dict[str, Any]


@cache
def exports() -> dict[str, dict[str, Any]]:
    """How each layout's system writes its export."""
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(_FOLDER.glob("*.yaml"))}


@dataclass
class Export:
    """The export of one system for one day, growing chunk by chunk."""

    layout: str
    folder: Path
    day: str
    rates: DirtRates
    log: DamageLog
    truth: Path | None  # where the truth of each cell goes; None: nowhere, and files are left unpacked
    definition: dict[str, Any] = field(init=False)
    extract: ExtractFolder = field(init=False)

    def __post_init__(self) -> None:
        self.definition = exports()[self.layout]
        shape = self.dialect
        dialect = Dialect(
            shape.get("encoding", "utf-8"),
            shape.get("delimiter", ","),
            shape.get("quoted", True),
            shape.get("bom", False),
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.extract = ExtractFolder(self.layout, self.folder, dialect, self.rates, self.log)

    @property
    def dialect(self) -> dict[str, Any]:
        """How values are written; what is not said is ISO."""
        return self.definition.get("dialect", {})

    @property
    def system(self) -> int:
        """Whose records they are: those of the main CRM, of the Chinese one or of the ERP."""
        return _SYSTEMS[self.definition["side"]]

    @property
    def has_heads(self) -> bool:
        """Whether orders are told on their lines."""
        return any(entry.get("heads") for entry in self.definition["files"].values())

    def object_of(self, kinds: Array) -> Text:
        """The system's own object for each kind of record; nothing where it has none."""
        names = {kind: name for name, entry in self._objects() for part in _parts(entry) for kind in _kinds(part)}
        return text([names.get(kind) for kind in kinds.tolist()])

    def ids(self, values: Text) -> Text:
        """Ids as the system forms them."""
        return renumbered(values, self.definition.get("ids", {}))

    def keys(self, records: Frame, at: Array) -> Frame:
        """The source keys of some party records of this system."""
        return {
            "source_system": np.full(len(at), self.layout, object),
            "source_object": self.object_of(KIND_OF_OBJECT[records["object"][at]]),
            "source_id": self.ids(records["source_id"][at]),
        }

    def renamed(self, damage: Frame) -> Frame:
        """Of noted damages those in this export, under the names that records have in it."""
        base = SYSTEMS[self.system]
        lines = damage["source_system"] == self.layout
        ours = take(damage, np.flatnonzero(lines | (damage["source_system"] == base)))
        if self.layout == base:
            return ours
        kinds = text([_KIND_OF_NAME.get(name, name) for name in ours["source_object"].tolist()])
        objects = self.object_of(kinds)
        moved = ours["source_system"] == base
        ours |= {
            "source_system": np.full(len(kinds), self.layout, object),
            "source_object": np.where(moved, objects, ours["source_object"]),
            "source_id": np.where(moved, self.ids(ours["source_id"]), ours["source_id"]),
        }
        return take(ours, np.flatnonzero(~is_missing(ours["source_object"])))

    def write(self, rng: np.random.Generator, frames: dict[str, Frame]) -> None:
        """Add the lines of some frames to all files that hold such records."""
        for name, entry in self.definition["files"].items():
            for part in _parts(entry):
                for kind in _kinds(part):
                    if kind in frames:
                        self._append(rng, name, entry, part, kind, self._prepared(frames[kind], part))
        if self.truth is not None:
            for name, entry in self._objects():
                self._note_truth(self.truth, name, entry, frames)

    def finish(self) -> None:
        """Pack the files as the system does."""
        if self.truth is not None:
            pack(self.folder, self.definition.get("packed", ""), self.day)

    def _objects(self) -> list[tuple[str, dict[str, Any]]]:
        """The files that hold records, not only further columns of them."""
        return [(name, entry) for name, entry in self.definition["files"].items() if "for" not in entry]

    def _prepared(self, frame: Frame, part: dict[str, Any]) -> Frame:
        """The rows that a file holds, with values it can hold."""
        keep = np.ones(len(next(iter(frame.values()))), bool)
        for column in part.get("only", []):
            keep &= ~is_missing(frame[column])
        for column in part.get("without", []):
            keep &= is_missing(frame[column])
        frame = frame if keep.all() else take(frame, np.flatnonzero(keep))
        if self.dialect.get("quoted", True):
            return frame
        return {name: self._unquoted(column) if column.dtype == object else column for name, column in frame.items()}

    def _unquoted(self, values: Text) -> Text:
        """Unquoted files cannot hold their own delimiter."""
        mark = self.dialect.get("delimiter", ",")
        table = str.maketrans({mark: " " if mark in "\t," else ",", '"': "'", "\n": " "})
        return per_value(values, lambda value: None if value is None else value.translate(table))

    def _append(
        self, rng: np.random.Generator, name: str, entry: dict[str, Any], part: dict[str, Any], kind: str, frame: Frame
    ) -> None:
        size = len(next(iter(frame.values())))
        headers = dict.fromkeys(header for other in _parts(entry) for header in other["columns"])
        own = part["columns"]
        columns = {h: self._cells(own[h], kind, frame) if h in own else blank(size) for h in headers}
        stem = entry.get("name", name).replace("{date}", self.day)
        halves = {stem: slice(None)}
        if self.truth is not None and self.definition.get("packed") == "parts":
            halves = {f"1/{stem}": slice(0, size // 2), f"2/{stem}": slice(size // 2, size)}
        for path, rows in halves.items():
            cells = {header: column[rows] for header, column in columns.items()}
            self.extract.append(rng, path, entry.get("for", name), TABLE_OF_KIND[kind], cells)

    def _cells(self, spec: Any, kind: str, frame: Frame) -> Text:
        spec = {"of": spec} if isinstance(spec, str) else spec
        size = len(next(iter(frame.values())))
        if "constant" in spec:
            return np.full(size, spec["constant"], object)
        name = spec["of"]
        column = frame[name]
        if "times" in spec:
            column = np.round(column * spec["times"])
        cells = self._written(name, column, kind, spec)
        steps = [words for words in (spec.get("codes"), spec.get("words")) if words]
        width, before, after = spec.get("width", 0), spec.get("before", ""), spec.get("after", "")
        if not (steps or width or before or after):
            return cells

        def finished(cell: str | None) -> str | None:
            for words in steps:
                cell = _word(words, cell)
            return None if cell is None else f"{before}{cell.zfill(width)}{after}"

        return per_value(cells, finished)

    def _written(self, name: str, column: Array, kind: str, spec: dict[str, Any]) -> Text:
        """A column in the dialect of the system, by its type."""
        shape = self.dialect
        if column.dtype == bool:
            return choose(column, shape.get("true", "1"), shape.get("false", "0"))
        if column.dtype.kind == "M":
            return self._time(column, spec)
        if column.dtype.kind in "if":
            return self._number(name.removeprefix("order_"), column, kind)
        if name == "birth_date":
            return self._birth_dates(column)
        return self.ids(column) if _names_records(name) else column

    def _time(self, column: Array, spec: dict[str, Any]) -> Text:
        is_day = spec.get("as", "day" if "[D]" in column.dtype.name else "moment") == "day"
        form = self.dialect.get("day" if is_day else "moment", "%Y-%m-%d" if is_day else "%Y-%m-%d %H:%M:%S")
        form = spec.get("form", form)
        seconds = column.astype("datetime64[s]")
        return epoch_milliseconds(seconds) if form == "epoch_ms" else moment_text(seconds, form)

    def _number(self, name: str, column: Array, kind: str) -> Text:
        of_money = canonical()[TABLE_OF_KIND[kind]].columns.get(name) == "number" or name in ("total", "size")
        if self.dialect.get("decimal") != "," or not of_money:
            return _plain_number(column, of_money)
        missing = np.isnan(column.astype(np.float64))
        written = sap_decimal_text(np.where(missing, 0, column).astype(np.int64))
        written[missing] = None
        return written

    def _birth_dates(self, column: Text) -> Text:
        """Birth dates are text, since some are days that never were."""
        form = self.dialect.get("day", "%Y-%m-%d").replace("epoch_ms", "%Y-%m-%d")
        if form == "%Y-%m-%d":
            return column

        def written(day: str | None) -> str | None:
            year, month, rest = day.split("-") if day else ("", "", "")
            return form.replace("%Y", year).replace("%m", month).replace("%d", rest) if day else None

        return per_value(column, written)

    def _note_truth(self, folder: Path, name: str, entry: dict[str, Any], frames: dict[str, Frame]) -> None:
        """What the lines of an object mean, in canonical columns and ISO form."""
        holders = [one for other, one in self.definition["files"].items() if name in (other, one.get("for"))]
        told: dict[str, dict[str, list[Meaning]]] = {}
        for part in (part for holder in holders for part in _parts(holder) if not part.get("aside")):
            for kind in _kinds(part):
                told.setdefault(TABLE_OF_KIND[kind], {}).setdefault(kind, []).extend(_meanings(part))
        rows = {kind: part for part in _parts(entry) for kind in _kinds(part)}
        if entry.get("heads"):
            heads = [m._replace(column=m.column[6:], target=m.target[6:]) for m in told["order_line"]["line"]
                     if m.column.startswith("order_") and m.target.startswith("order_")]  # fmt: skip
            told["sales_order"] = {"order": heads}
        for table, kinds in told.items():
            known = canonical()[table].columns
            targets = dict.fromkeys(m.target for meanings in kinds.values() for m in meanings if m.target in known)
            for kind, meanings in kinds.items():
                if targets and kind in frames:
                    frame = self._prepared(frames[kind], rows.get(kind, {}))
                    empty = blank(len(next(iter(frame.values()))))
                    columns = dict.fromkeys(targets, empty)
                    columns |= {m.target: self._meaning(table, m, frame) for m in meanings if m.target in targets}
                    append_csv(folder / f"{name}.{table}.csv", columns)

    def _meaning(self, table: str, meaning: Meaning, frame: Frame) -> Text:
        column, spec = frame.get(meaning.column), meaning.spec
        if column is None:
            return np.full(len(next(iter(frame.values()))), spec["constant"], object)
        if column.dtype == bool:
            return choose(column, "true", "false")
        if column.dtype.kind == "M":
            return self._as_exact(column, spec)
        if column.dtype.kind in "if":
            return _plain_number(column, canonical()[table].columns[meaning.target] == "number")
        if meaning.target == "party_source_object":
            return self.object_of(column)
        column = self.ids(column) if _names_records(meaning.target) else column
        return per_value(column, lambda cell: _word(spec["words"], cell)) if "words" in spec else column

    def _as_exact(self, column: Array, spec: dict[str, Any]) -> Text:
        """Days and moments, no more exact than the export writes them."""
        if "[D]" in column.dtype.name:
            return day_text(column)
        form = self.dialect.get("moment", "%S") if spec.get("as", "moment") == "moment" else ""
        unit = "s" if "%S" in form or form == "epoch_ms" else "m" if "%M" in form else "D"
        return moment_text(column.astype(f"datetime64[{unit}]"), "%Y-%m-%d %H:%M:%S")


def _parts(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a file: one kind of lines each."""
    return entry.get("parts", [entry])


def _meanings(part: dict[str, Any]) -> list[Meaning]:
    """What the columns of a part mean: their own column unless `is` says otherwise, and what can be told from them."""
    specs = [{"of": spec} if isinstance(spec, str) else spec for spec in part["columns"].values()]
    own = [Meaning(spec.get("is", spec.get("of", "")), spec.get("of", ""), spec) for spec in specs]
    return own + [Meaning(other, other, spec) for spec in specs for other in _listed(spec.get("also", []))]


def _kinds(part: dict[str, Any]) -> list[str]:
    return _listed(part["of"])


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _plain_number(column: Array, in_hundredths: bool) -> Text:
    missing = np.isnan(column.astype(np.float64))
    whole = np.where(missing, 0, column).astype(np.int64)
    written = decimal_text(whole) if in_hundredths else digits(whole)
    written[missing] = None
    return written


def _word(words: dict[str, Any], cell: str | None) -> str | None:
    found = words.get("" if cell is None else cell, words.get("*", cell))
    return None if found is None else str(found)


def _names_records(column: str) -> bool:
    """Whether a column holds ids of records, which each system numbers in its own way; a tax id is nobody's to number."""
    return column.endswith(("_id", "_ids")) and column not in ("tax_id", "national_id")
