"""Measure the checks against a truth of damaged cells: what they find and what they accuse. Does not belong here: checks.

The truth is a folder as `crm-quality sample` writes it: `damage.csv` (one line per damaged cell: source_system,
source_object, source_id, table, column, kind, original) and `ghost.csv` (records of nobody, all of whose cells
may be wrong).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.warehouse import literal

_DAMAGE = ("source_system", "source_object", "source_id", "table", "column", "kind")
_GHOST = ("source_system", "source_object", "source_id")
_FIELDS = r"""regexp_split_to_array(content, '[;,|\t"]+')"""

# (table, kind) of the damage, and the checks that are there to find it.
FOUND_BY: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("party", "invalid_email"): ("email_valid",),
    ("party", "invalid_phone"): ("phone_valid", "mobile_valid"),
    ("party", "placeholder"): (
        "email_not_placeholder",
        "email_receivable",
        "phone_not_placeholder",
        "mobile_not_placeholder",
    ),
    ("party", "impossible_date"): ("birth_date_readable", "birth_date_in_past", "birth_date_after_1900"),
    ("party", "invalid_check_digit"): ("tax_id_valid",),
    ("party", "missing"): ("address_present", "country_present"),
    ("opportunity", "won_without_amount"): ("won_has_amount",),
    ("opportunity", "close_before_create"): ("closed_after_created",),
    ("opportunity", "orphan"): ("party_exists",),
    ("opportunity", "wrong_currency"): ("currency_known", "currency_as_usual", "currency_written_as_code"),
    ("sales_order", "orphan"): ("party_exists",),
    ("sales_order", "wrong_currency"): ("currency_known", "currency_as_usual", "currency_written_as_code"),
    ("interaction", "orphan"): ("party_exists",),
}

# What no rule on a record can see, and what is there for it instead.
UNSEEN: Mapping[tuple[str, str], str] = {
    (
        "party",
        "typo",
    ): "a name or street one letter off is a name too; found where another record of the customer differs",
    ("party", "swapped_names"): "both parts are names; found by identity resolution",
    ("party", "nickname"): "a nickname is a name; found by identity resolution",
    ("party", "pinyin"): "a spelling, not an error",
    ("party", "short_name"): "a spelling, not an error",
    ("party", "old_phone"): "a number like any other; found where CRM and ERP differ",
    ("party", "old_address"): "an address like any other; found where records of a customer differ",
    ("party", "shared_phone"): "a switchboard is nobody's mistake",
}


@dataclass(frozen=True)
class Found:
    """How one kind of damage fares.

    damaged, found: cells; flagged, right: records that the checks accuse, and those of them that are damaged.
    """

    table: str
    kind: str
    damaged: int
    found: int
    flagged: int
    right: int
    by: str

    @property
    def recall(self) -> float:
        """Share of the damaged that a check found."""
        return self.found / self.damaged if self.damaged else 1.0

    @property
    def precision(self) -> float:
        """Share of the flagged that is damaged."""
        return self.right / self.flagged if self.flagged else 1.0


@dataclass(frozen=True)
class DamageReport:
    """All kinds of damage of a truth: those that rules can see, and the others with the reason."""

    found: tuple[Found, ...]
    unseen: tuple[tuple[str, str, int, str], ...]

    def to_json(self) -> str:
        """The same as JSON."""
        kinds = [asdict(f) | {"recall": round(f.recall, 6), "precision": round(f.precision, 6)} for f in self.found]
        unseen = [dict(zip(("table", "kind", "damaged", "reason"), row, strict=True)) for row in self.unseen]
        return json.dumps({"found": kinds, "unseen": unseen}, indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        lines = [
            f"{'table':<12} {'kind of damage':<20} {'cells':>7} {'recall':>7} {'flagged':>8} {'precision':>9}  found by"
        ]
        lines += [
            f"{f.table:<12} {f.kind:<20} {f.damaged:>7,} {f.recall:>7.4f} {f.flagged:>8,} {f.precision:>9.4f}  {f.by}"
            for f in self.found
        ]
        lines += ["", "What no rule on a record can see:"]
        lines += [f"{table:<12} {kind:<20} {cells:>7,}  {reason}" for table, kind, cells, reason in self.unseen]
        return "\n".join(lines)


def measure_damage(golden: Path, truth: Path) -> DamageReport:
    """Compare quality.failure, quality.quarantine and quality.rejected_line of a published file with a truth folder.

    Raises CrmQualityError if a file is missing or lacks a column, or the truth holds a kind nobody has spoken for.
    """
    if not golden.exists():
        raise CrmQualityError(f"{golden} does not exist; run `crm-quality run` first")
    with duckdb.connect(str(golden), read_only=True) as con:
        _load(con, truth / "damage.csv", "damage", _DAMAGE)
        _load(con, truth / "ghost.csv", "ghost", _GHOST)
        kinds = con.execute(
            'select "table", kind, count(*) from damage where kind not in (?, ?) group by all order by all',
            ["repeated_line", "broken_line"],
        ).fetchall()
        unknown = [f"{table} {kind}" for table, kind, _ in kinds if (table, kind) not in {*FOUND_BY, *UNSEEN}]
        if unknown:
            raise CrmQualityError(f"{truth / 'damage.csv'}: no check is known for {', '.join(unknown)}")
        found = [_by_checks(con, table, kind) for table, kind, _ in kinds if (table, kind) in FOUND_BY]
        unseen = [(table, kind, n, UNSEEN[table, kind]) for table, kind, n in kinds if (table, kind) in UNSEEN]
        repeated = "quality.quarantine where reason = 'repeated line'"
        lines = (
            _by_line(
                con,
                "repeated_line",
                repeated,
                "list_append(string_split(source_id, '-'), source_id)",
                "quality.quarantine",
            ),
            _by_line(con, "broken_line", "quality.rejected_line", _FIELDS, "quality.rejected_line"),
        )
        return DamageReport((*found, *lines), tuple(unseen))


def _load(con: duckdb.DuckDBPyConnection, file: Path, table: str, columns: tuple[str, ...]) -> None:
    if not file.exists():
        raise CrmQualityError(f"{file} does not exist; it must hold the columns {', '.join(columns)}")
    con.execute(f"create temp table {table} as from read_csv(?, all_varchar = true)", [str(file)])
    present = {name for name, *_ in con.execute(f"describe {table}").fetchall()}
    missing = [column for column in columns if column not in present]
    if missing:
        raise CrmQualityError(f"{file}: no column {', '.join(missing)}; it has {', '.join(sorted(present))}")


def _by_checks(con: duckdb.DuckDBPyConnection, table: str, kind: str) -> Found:
    """Damage of one kind against the failures of its checks.

    A damaged record that never became one of core (its line was broken, repeated or quarantined) is not the
    checks' to find. A flagged record is right if it is damaged in that column, in whatever way; if it belongs to
    a party whose line was broken; or if it is a ghost, for what a ghost says of itself is made up.
    """
    checks = FOUND_BY[table, kind]
    ids = ", ".join(literal(f"core_{table}__{check}") for check in checks)
    lost_party = (
        f"""union
            select record.source_system, record.source_object, record.source_id
            from core.{table} as record
            inner join damage
                on record.source_system = damage.source_system and record.party_source_id = damage.source_id
            where damage.kind = 'broken_line'"""
        if kind == "orphan"
        else ""
    )
    return _counted(
        con,
        table,
        kind,
        by=", ".join(checks),
        hit=f"""
            select distinct source_system, source_object, source_id, "column"
            from damage
            semi join core.{table} using (source_system, source_object, source_id)
            where "table" = {literal(table)} and kind = {literal(kind)}""",
        flagged=f"select distinct source_system, source_object, source_id from quality.failure where check_id in ({ids})",
        found="select * from hit semi join flagged using (source_system, source_object, source_id)",
        right=f"""
            select * from flagged semi join (
                select source_system, source_object, source_id
                from damage
                where "table" = {literal(table)} and "column" in (select "column" from hit)
                union
                select source_system, source_object, source_id from ghost
                {lost_party}
            ) as wrong using (source_system, source_object, source_id)""",
    )


# The truth names a line by its first field: the id itself, or the first part of an id made of several fields.
_SAME_LINE = """
    select hit.number as hit_number, flagged.number as flagged_number
    from hit
    inner join part
        on
            hit.source_system = part.source_system and hit.source_object = part.source_object
            and hit.source_id = part.part
    inner join flagged on part.number = flagged.number"""


def _by_line(con: duckdb.DuckDBPyConnection, kind: str, flagged: str, parts: str, by: str) -> Found:
    """Damage to whole lines against a table of lines that were kept out; `parts` is the list of fields of one."""
    hit = f"select row_number() over () as number, * from damage where kind = {literal(kind)}"
    matched = f"""
        with part as (select number, source_system, source_object, unnest({parts}) as part from flagged),
        matched as ({_SAME_LINE})"""
    return _counted(
        con,
        "any",
        kind,
        by=by,
        hit=hit,
        flagged=f"select row_number() over () as number, * from {flagged}",
        found=f"{matched} select distinct hit_number from matched",
        right=f"{matched} select distinct flagged_number from matched",
    )


def _counted(
    con: duckdb.DuckDBPyConnection, table: str, kind: str, *, by: str, hit: str, flagged: str, found: str, right: str
) -> Found:
    row = con.execute(
        f"""with hit as ({hit}), flagged as ({flagged})
        select
            (select count(*) from hit),
            (select count(*) from ({found}) as found),
            (select count(*) from flagged),
            (select count(*) from ({right}) as correct)"""
    ).fetchone()
    assert row is not None
    damaged, caught, accused, rightly = row
    return Found(table, kind, damaged, caught, accused, rightly, by)
