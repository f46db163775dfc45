"""What can be wrong in the sample, how often, and the log of it. Does not belong here: doing the damage."""

from dataclasses import dataclass, field, fields

import numpy as np

from crm_quality.sample.columns import Array, Frame, Text, text


@dataclass(frozen=True)
class DirtRates:
    """Shares between 0 and 1; of what, stands beside each. Raises ValueError outside that range."""

    duplicates: float = 0.07  # customers of a system: entered twice in it
    merged: float = 0.15  # such second entries: already merged by the system
    deleted: float = 0.01  # records: softly deleted
    pinyin: float = 0.25  # Chinese records outside the Chinese CRM: written in pinyin
    short_company_name: float = 0.12  # organisation records: short name in place of the legal one
    name_typo: float = 0.02  # records: a letter wrong in the name
    swapped_names: float = 0.015  # person records: given and family name swapped
    nickname: float = 0.04  # records of people abroad: short form of the given name
    email_typo: float = 0.01  # records
    invalid_email: float = 0.01  # records: not a mail address
    invalid_phone: float = 0.015  # records: too short a number
    old_phone: float = 0.02  # records: a number given up long ago
    placeholder_phone: float = 0.008  # records: 13800000000 and the like
    placeholder_email: float = 0.008  # records: noreply@example.com and the like
    street_typo: float = 0.02  # records
    old_address: float = 0.04  # records: the address before the last move
    missing_address: float = 0.10  # records
    missing_country: float = 0.05  # records
    missing_email: float = 0.12  # records
    missing_birth_date: float = 0.35  # person records
    impossible_birth_date: float = 0.015  # person records with a birth date
    invalid_tax_id: float = 0.02  # organisation records with a tax id
    missing_tax_id: float = 0.30  # organisation records
    shared_phone: float = 0.40  # people with an employer: its switchboard as their phone
    households: float = 0.12  # consumers who share home and landline with another
    namesakes: float = 0.015  # people with the name of another
    subsidiaries: float = 0.08  # organisations with a parent
    ghosts: float = 0.03  # records with no real customer behind them, per real record
    orphans: float = 0.008  # opportunities, orders and interactions of a party that is not there
    wrong_currency: float = 0.008  # opportunities and orders
    won_without_amount: float = 0.03  # won opportunities
    close_before_create: float = 0.015  # opportunities
    unpaid: float = 0.03  # invoices long due
    partly_paid: float = 0.05  # invoices
    cancelled: float = 0.02  # orders
    repeated_lines: float = 0.001  # lines of a file: there twice
    repeated_ids: float = 0.001  # party records: an older line of the same id stands before
    broken_lines: float = 0.0004  # lines of a file: cut short, or too many fields
    line_breaks: float = 0.01  # free texts: a line break inside quotes, which is legal

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if not 0 <= value <= 1:
                raise ValueError(f"{entry.name} is {value}; a rate lies between 0 and 1")

    @classmethod
    def none(cls) -> "DirtRates":
        """A sample in which nothing is wrong and nobody is alike."""
        return cls(**{entry.name: 0.0 for entry in fields(cls)})


DAMAGE_COLUMNS = ("source_system", "source_object", "source_id", "table", "column", "kind", "original")


@dataclass
class DamageLog:
    """Every cell that was damaged on purpose, with what stood there before."""

    frames: list[Frame] = field(default_factory=list)

    def add(self, table: str, column: str, kind: str, keys: tuple[Array, Array, Array], original: Text) -> None:
        """Note damages of one kind; `keys` are source systems, objects and ids, row by row."""
        size = len(original)
        if not size:
            return
        named = [np.full(size, name, dtype=object) for name in (table, column, kind)]
        before = text([None if value is None else str(value) for value in original.tolist()])
        self.frames.append(dict(zip(DAMAGE_COLUMNS, [*keys, *named, before], strict=True)))

    def drain(self) -> list[Frame]:
        """What was noted since the last call."""
        frames, self.frames = self.frames, []
        return frames
