"""The truth about the sample, which no run ever reads. Does not belong here: extracts."""

# mypy: disable-error-code="no-any-return"
# (numpy types what is computed from text columns as Any.)

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crm_quality.sample.columns import Array, Frame, Text, blank, choose, day_text, digits, is_missing
from crm_quality.sample.dirt import DAMAGE_COLUMNS, DamageLog
from crm_quality.sample.export import Export
from crm_quality.sample.files import append_csv
from crm_quality.sample.vocabulary import COUNTRIES, DIAL_CODE, cities
from crm_quality.sample.world import Chunk


@dataclass
class TruthFolder:
    """Truth files that grow chunk by chunk."""

    folder: Path
    exports: tuple[Export, ...]
    ghosts: int = 0
    entities: int = 0
    records: int = 0
    damaged_cells: int = 0

    def __post_init__(self) -> None:
        # Also where nothing is damaged, the file says so.
        self._append("damage", {name: blank(0) for name in DAMAGE_COLUMNS})

    def add_records(self, chunk: Chunk, records: Frame) -> None:
        """Who every record is about, and which records are about nobody."""
        entity = entity_ids(chunk.customers["number"])[np.maximum(records["entity"], 0)]
        ghost = np.flatnonzero(~is_missing(records["ghost"]))
        entity[ghost] = "G" + digits(self.ghosts + np.arange(1, len(ghost) + 1), 8)
        self.ghosts += len(ghost)
        self.entities += len(chunk.customers["number"])
        for export in self.exports:
            of = records["system"] == export.system
            for stem, at, column, values in (
                ("entity", np.flatnonzero(of), "entity_id", entity),
                ("ghost", ghost[of[ghost]], "kind", records["ghost"]),
            ):
                keys = export.keys(records, at)
                there = ~is_missing(keys["source_object"])
                self._append(stem, {name: key[there] for name, key in (keys | {column: values[at]}).items()})
                self.records += int(there.sum()) if stem == "entity" else 0
        self._append("entity_value", _entity_values(chunk.customers))
        for one, other, kind in chunk.relations:
            numbers = entity_ids(chunk.customers["number"])
            named = np.full(len(one), kind, dtype=object)
            columns = {"entity_id": numbers[one], "related_entity_id": numbers[other], "kind": named}
            self._append("relation", columns)

    def add_damage(self, log: DamageLog) -> None:
        """Which cells were damaged, how, and what stood there."""
        for frame in log.drain():
            for export in self.exports:
                own = export.renamed(frame)
                self.damaged_cells += len(own["kind"])
                self._append("damage", {name: own[name] for name in DAMAGE_COLUMNS})

    def _append(self, stem: str, columns: dict[str, Text]) -> None:
        append_csv(self.folder / f"{stem}.csv", columns)


def entity_ids(numbers: Array) -> Text:
    """Ids of the real customers."""
    return "E" + digits(numbers + 1, 8)


def _entity_values(world: Frame) -> dict[str, Text]:
    person = world["is_person"]
    family, given = _spoken(world, "family"), _spoken(world, "given")
    chinese = world["country"] == 0
    full = np.full(len(person), None, dtype=object)
    at = np.flatnonzero(person)
    full[at] = np.where(chinese[at], family[at] + given[at], given[at] + " " + family[at])
    city = np.full(len(person), None, object)
    for number, country in enumerate(COUNTRIES):
        at = np.flatnonzero(world["country"] == number)
        city[at] = cities(country).name_local[world["city"][at]]
    code = "+" + DIAL_CODE[world["country"]]
    return {
        "entity_id": entity_ids(world["number"]),
        "party_type": choose(person, "person", "organisation"),
        "display_name": np.where(person, full, world["company"]),
        "given_name": choose(person, given, None),
        "family_name": choose(person, family, None),
        "company_name": world["company"],
        "birth_date": day_text(world["birth"]),
        "tax_id": world["tax_id"],
        "national_id": world["national_id"],
        "email": world["email"],
        "phone": code + _joined(world["landline"]),
        "mobile": choose(person, code + _joined(world["mobile"]), None),
        "city": city,
        "postal_code": world["postal"],
        "country": np.array(COUNTRIES, dtype=object)[world["country"]],
    }


def _spoken(world: Frame, part: str) -> Text:
    return np.where(world["country"] == 0, world[f"{part}_hanzi"], world[part])


def _joined(numbers: Text) -> Text:
    joined = numbers.copy()
    joined[:] = [number.replace(" ", "") for number in numbers.tolist()]
    return joined
