"""Draw the records of an audit from a published file, by risk. Does not belong here: what people say of them.

Risky are the records that a rule refuses or that nobody may stand behind, then those with lesser doubts, then the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.quality.audit import ALL_FIELDS, Audit, Item, Stratum
from crm_quality.warehouse import literal

# A cell of a workbook holds 32,767 characters; nobody verifies as many.
_LONGEST = 1_000
# Half of a sample is for the many records without a doubt: most of the weight is theirs, and an error there is news.
_SHARES = {"high": 0.25, "medium": 0.25, "low": 0.5}


@dataclass(frozen=True)
class _Field:
    """What of a record is verified: how it is shown, and the columns whose rules speak of it."""

    value: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class _Audited:
    """The records of a table that can be audited: which of them, what names one, its fields, and who is doubted beside
    those that a rule refuses (a query of keys with their risk).
    """

    where: str
    name: str
    fields: Mapping[str, _Field]
    doubted: str = ""


def _as_it_came(*columns: str) -> dict[str, _Field]:
    return {column: _Field(f"{column}_raw", (column,)) for column in columns}


_NAMES = ("full_name", "given_name", "family_name")
# Records that nobody may stand behind, and those of which CRM and ERP say different things.
_DOUBTED_PARTIES = """
    select source_system, source_object, source_id, case when verdict = 'unverified' then 'medium' else 'high' end as risk
    from golden.quality.ghost_verdict
    where verdict in ('ghost', 'suspect', 'unverified')
    union all
    select party.source_system, party.source_object, party.source_id, 'medium' as risk
    from (
        select crm_source_system as source_system, crm_source_id as source_id, kind, status
        from golden.quality.reconciliation_difference
        union all
        select erp_source_system, erp_source_id, kind, status
        from golden.quality.reconciliation_difference
    ) as found
    inner join golden.core.party as party using (source_system, source_id)
    where found.kind = 'contact_differs' and found.status = 'open'
"""
_CUSTOMER = _Field("party_source_id", ("party_source_id",))

AUDITED: Mapping[str, _Audited] = {
    "core.party": _Audited(
        where="not is_deleted",
        name="case when party_type = 'organisation' then coalesce(company_name, full_name) else full_name end",
        fields={
            "full_name": _Field(
                "case when party_type = 'person' "
                "then coalesce(full_name_raw, nullif(concat_ws(' ', given_name_raw, family_name_raw), '')) end",
                _NAMES,
            ),
            "company_name": _Field(
                "case when party_type = 'organisation' then coalesce(company_name_raw, full_name_raw) end",
                ("company_name", *_NAMES),
            ),
            **_as_it_came("birth_date", "tax_id", "national_id", "email", "phone", "mobile", "street", "city"),
            "postal_code": _Field("postal_code", ("postal_code",)),
            **_as_it_came("country"),
        },
        doubted=_DOUBTED_PARTIES,
    ),
    "core.opportunity": _Audited(
        where="not is_deleted",
        name="name",
        fields={
            "party_source_id": _CUSTOMER,
            "stage": _Field("stage", ("stage",)),
            **_as_it_came("amount", "currency", "close_date"),
        },
    ),
    "core.sales_order": _Audited(
        where="not is_cancelled",
        name="source_id",
        fields={"party_source_id": _CUSTOMER, **_as_it_came("ordered_on", "amount", "currency")},
    ),
}


def draw(golden: Path, table: str, records: int, day: date | None = None) -> Audit:
    """Draw the records of an audit from a published file; the day (default: that of the file) is the seed.

    Within a risk every record has the same chance: the order is that of a hash of the day and the record's key, so
    that the same file and day give the same sample, wherever and however often it is drawn. Raises CrmQualityError
    when nothing was published, or the table cannot be audited.
    """
    if table not in AUDITED:
        raise CrmQualityError(f"{table!r} cannot be audited; allowed: {', '.join(AUDITED)}")
    if not golden.exists():
        raise CrmQualityError(f"{golden} does not exist; run `crm-quality run` first")
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": False}) as con:
        con.execute(f"attach {literal(str(golden.resolve()))} as golden (read_only)")
        day = day or _published_day(con)
        _note_cells(con, table)
        strata = _strata(con)
        sizes = {stratum.risk: stratum.records for stratum in strata if stratum.field == ALL_FIELDS}
        return Audit(day, table, records, strata, _items(con, allocate(sizes, records), day))


def allocate(sizes: Mapping[str, int], records: int) -> dict[str, int]:
    """How many records of each risk to draw: by the shares above; what one has too few of is drawn from the others."""
    drawn = dict.fromkeys(sizes, 0)
    left = min(records, sum(sizes.values()))
    while left:
        open_risks = [risk for risk in _SHARES if risk in sizes and drawn[risk] < sizes[risk]]
        weight = sum(_SHARES[risk] for risk in open_risks)
        for risk in open_risks:
            more = min(
                max(1, round(left * _SHARES[risk] / weight)), sizes[risk] - drawn[risk], records - sum(drawn.values())
            )
            drawn[risk] += more
        left = min(records, sum(sizes.values())) - sum(drawn.values())
    return drawn


def values_query(table: str, catalog: str = "") -> str:
    """The SELECT of every value that can be verified: key of the record, field, place and value."""
    audited = AUDITED[table]
    parts = " union all ".join(
        f"select source_system, source_object, source_id, {literal(field)} as field, {number} as place, "
        f"left(trim({spec.value}), {_LONGEST}) as value from {catalog}{table} where {audited.where}"
        for number, (field, spec) in enumerate(audited.fields.items())
    )
    return f"select * from ({parts}) where value <> ''"


def _published_day(con: duckdb.DuckDBPyConnection) -> date:
    row = con.execute("select max(extract_date) from golden.meta.run where status = 'published'").fetchone()
    assert row is not None
    day: date = row[0]
    return day


def _note_cells(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """cell: every value that can be verified, with the risk of its record and whether a rule refuses it."""
    audited = AUDITED[table]
    con.execute(
        f"""
        create temp table failing as
        select distinct failure.source_system, failure.source_object, failure.source_id, failure.column_name,
            result.dimension in ('accuracy', 'validity', 'consistency') as speaks_of_the_value
        from golden.quality.failure as failure
        inner join golden.quality.check_result as result
            on failure.check_id = result.check_id and failure.run_id = result.run_id
        where failure.table_name = {literal(table)} and result.severity in ('critical', 'warning')
        """
    )
    speaks = ", ".join(
        f"({literal(field)}, {literal(column)})" for field, spec in audited.fields.items() for column in spec.columns
    )
    con.execute(
        f"""
        create temp table cell as
        with refused as (
            select distinct failing.source_system, failing.source_object, failing.source_id, speaks.field
            from failing
            inner join (values {speaks}) as speaks(field, column_name) using (column_name)
            where failing.speaks_of_the_value
        ),
        judged as (
            select filled.*, refused.source_id is not null as refused
            from ({values_query(table, "golden.")}) as filled
            left join refused using (source_system, source_object, source_id, field)
        ),
        doubted as (
            select source_system, source_object, source_id, 'medium' as risk from failing
            {f"union all {audited.doubted}" if audited.doubted else ""}
            union all
            select source_system, source_object, source_id, 'high' as risk from judged where refused
        ),
        risk as (
            -- high comes before medium in the alphabet, too
            select source_system, source_object, source_id, min(risk) as risk from doubted group by all
        )
        select judged.*, record.owner, {audited.name} as name, coalesce(risk.risk, 'low') as risk
        from judged
        inner join golden.{table} as record using (source_system, source_object, source_id)
        left join risk using (source_system, source_object, source_id)
        """
    )


def _strata(con: duckdb.DuckDBPyConnection) -> tuple[Stratum, ...]:
    rows = con.execute(
        f"""
        select risk, coalesce(field, {literal(ALL_FIELDS)}),
            count(distinct (source_system, source_object, source_id)), count(*), count(*) filter (refused)
        from cell
        group by grouping sets ((risk, field), (risk))
        order by all
        """
    ).fetchall()
    return tuple(Stratum(*row) for row in rows)


def _items(con: duckdb.DuckDBPyConnection, drawn: Mapping[str, int], day: date) -> tuple[Item, ...]:
    con.execute("create temp table drawn (risk varchar, records bigint)")
    for risk, records in drawn.items():
        con.execute("insert into drawn values (?, ?)", [risk, records])
    rows = con.execute(
        """
        with record as (
            select distinct risk, source_system, source_object, source_id,
                md5(concat_ws('|', $day, source_system, source_object, source_id)) as chance
            from cell
        ),
        placed as (
            select *, row_number() over (partition by risk order by chance, source_system, source_object, source_id) as place
            from record
        )
        select cell.risk, cell.source_system, cell.source_object, cell.source_id, cell.owner, cell.name, cell.field,
            cell.value, cell.refused
        from placed
        inner join drawn on placed.risk = drawn.risk and placed.place <= drawn.records
        inner join cell
            on placed.source_system = cell.source_system and placed.source_object = cell.source_object
            and placed.source_id = cell.source_id
        -- in an order that says nothing of the risk: who knows what to expect finds it
        order by placed.chance, cell.source_system, cell.source_object, cell.source_id, cell.place
        """,
        {"day": day.isoformat()},
    ).fetchall()
    return tuple(Item(number, *row) for number, row in enumerate(rows, start=1))
