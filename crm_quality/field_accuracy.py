"""Measure golden fields against the truth. Belongs here: accuracy beside that of simpler rules. Does not: matching."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.evaluate import load_truth

# Where core.party keeps what a field of golden.customer is made from.
_IN_PARTY = {
    "display_name": "case when party_type = 'organisation' then coalesce(company_name, full_name) else full_name end",
    "phone": "coalesce(phone, mobile)",
}
_FIELDS = (
    "display_name", "given_name", "family_name", "company_name", "birth_date", "tax_id", "national_id", "email",
    "phone", "mobile", "city", "postal_code", "country",
)  # fmt: skip
MOST_RECENT = "most recent wins"


@dataclass(frozen=True)
class FieldAccuracy:
    """Of the customers whose true value some record has: the share that golden has right, and that of simpler rules.

    `baselines` holds, by name, the share right if the most recent value of one source system were believed, or the
    most recent value of any. A missing value is not right. Values are compared without case, spaces and punctuation.
    """

    field: str
    customers: int
    golden: float
    baselines: dict[str, float]


def field_accuracy(path: str | Path, truth_csv: str | Path, values_csv: str | Path) -> list[FieldAccuracy]:
    """Accuracy by field, and over all fields (field `all`), of a published file.

    `truth_csv` maps records to entities, as for `evaluate`; `values_csv` has one row per entity, with `entity_id` and
    columns named as those of golden.customer. A customer is compared with the entity that most of its records belong
    to. Raises CrmQualityError where a file is missing or has none of the fields.
    """
    with duckdb.connect(str(Path(path).resolve()), read_only=True) as con:
        load_truth(con, Path(truth_csv))
        fields = _load_values(con, Path(values_csv))
        _prepare(con, fields)
        return _measure(con)


def _load_values(con: duckdb.DuckDBPyConnection, file: Path) -> list[str]:
    if not file.exists():
        raise CrmQualityError(f"{file} does not exist; it must hold entity_id and the true values of golden fields")
    con.execute("create temp table true_value as from read_csv($file, all_varchar = true)", {"file": str(file)})
    present = {name for name, *_ in con.execute("describe true_value").fetchall()}
    fields = [field for field in _FIELDS if field in present]
    if "entity_id" not in present or not fields:
        raise CrmQualityError(f"{file}: needs entity_id and at least one of {', '.join(_FIELDS)}")
    return fields


def _comparable(expression: str) -> str:
    return f"regexp_replace(lower(cast({expression} as varchar)), '[^\\p{{L}}\\p{{N}}]', '', 'g')"


def _prepare(con: duckdb.DuckDBPyConnection, fields: list[str]) -> None:
    """recorded: what records say; truth: the true value of every customer and field that a record has right."""
    con.execute(
        "create temp table recorded as "
        + " union all ".join(
            f"""
            select customer_id, source_system, '{field}' as field, {_comparable(_IN_PARTY.get(field, field))} as value,
                row_number() over (
                    order by coalesce(modified_at, created_at) desc nulls last, source_system, source_object, source_id
                ) as age
            from golden.customer_xref join core.party using (source_system, source_object, source_id)
            where {_IN_PARTY.get(field, field)} is not null
            """
            for field in fields
        )
    )
    con.execute(
        """
        create temp table entity_of as
        select customer_id, entity_id from (
            select customer_id, entity_id, row_number() over (
                partition by customer_id order by count(*) desc, entity_id
            ) as place
            from golden.customer_xref join truth_file using (source_system, source_object, source_id)
            group by customer_id, entity_id
        ) where place = 1
        """
    )
    con.execute(
        "create temp table truth as with all_truth as ("
        + " union all ".join(
            f"select customer_id, '{field}' as field, {_comparable(field)} as value "
            f"from entity_of join true_value using (entity_id) where {field} is not null"
            for field in fields
        )
        + ") from all_truth semi join recorded using (customer_id, field, value)"
    )


def _measure(con: duckdb.DuckDBPyConnection) -> list[FieldAccuracy]:
    rows = con.execute(
        f"""
        with believed as (
            select source_system as method, customer_id, field, arg_min(value, age) as value
            from recorded group by all
            union all
            select '{MOST_RECENT}', customer_id, field, arg_min(value, age) from recorded group by all
            union all
            select 'golden', customer_id, field, {_comparable("value")} from golden.customer_lineage
        ),
        method as (select distinct method from believed)
        select coalesce(truth.field, 'all') as field, method.method, count(*) as customers,
            round(count(believed.value) / count(*), 6) as share
        from truth
        cross join method
        left join believed using (method, customer_id, field, value)
        group by grouping sets ((truth.field, method.method), (method.method))
        order by truth.field nulls first, method.method
        """
    ).fetchall()
    by_field: dict[str, dict[str, float]] = {}
    customers = {}
    for field, method, count, share in rows:
        customers[field] = count
        by_field.setdefault(field, {})[method] = share
    return [
        FieldAccuracy(field, customers[field], shares.pop("golden", 0.0), shares) for field, shares in by_field.items()
    ]
