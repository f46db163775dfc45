"""Who is to be forgotten: records, what refers to them, values nobody else has. Does not belong here: deleting anything."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.sources.layout import canonical
from crm_quality.warehouse import has_table, literal

Key = tuple[str, str, str]

# What tells a person from others, as it came and standardised. A birth date or a city alone tells nobody apart.
_IDENTIFYING = (
    "full_name", "full_name_raw", "name_hanzi", "email", "email_raw", "phone", "phone_raw", "mobile", "mobile_raw",
    "national_id", "national_id_raw", "tax_id", "tax_id_raw", "account_number",
)  # fmt: skip
_SHORTEST = 6  # bytes; what is shorter stands in too many places by chance
_HAN = re.compile(r"[\u3400-\u9fff]")


@dataclass
class Subject:
    """A customer with all records, the texts by which a file that still holds something is found out, and the keys of
    the records and of all that is about them, as logs name failing rows: `system|object|id`.
    """

    customer_id: str
    records: list[Key]
    texts: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


def find_subject(con: duckdb.DuckDBPyConnection, named: str) -> Subject:
    """The customer that an id or a record `system/object/id` belongs to. Raises CrmQualityError where there is none."""
    by_key = named.count("/") >= 2
    condition = "source_system || '/' || source_object || '/' || source_id = ?" if by_key else "customer_id = ?"
    row = con.execute(f"select min(customer_id) from golden.customer_xref where {condition}", [named]).fetchone()
    if (not row or not row[0]) and not by_key:
        row = con.execute(
            "select min(current_customer_id) from golden.customer_redirect where customer_id = ?", [named]
        ).fetchone()
    if not row or not row[0]:
        raise CrmQualityError(f"{named} is neither a customer id nor a record (system/object/id) of the last run.")
    records = con.execute(
        "select source_system, source_object, source_id from golden.customer_xref where customer_id = ? order by all",
        [row[0]],
    ).fetchall()
    return Subject(row[0], records)


def mark(con: duckdb.DuckDBPyConnection, records: Sequence[Key]) -> None:
    """Make the temporary tables of a database file: `forgotten` (records and all that is about them), its customers.

    An order or a deal of the person is forgotten with its lines and stages; a reference by id alone means the first
    object that has the id. A customer id is forgotten where every record that it stands or stood for is.
    """
    con.execute(
        "create or replace temp table forgotten (kind varchar, source_system varchar, source_object varchar, "
        "source_id varchar, is_first boolean)"
    )
    con.executemany("insert into forgotten values ('party', ?, ?, ?, true)", [list(key) for key in records])
    if has_table(con, "core", "party"):
        con.execute(
            """update forgotten set is_first = not exists (from core.party as party
                where party.source_system = forgotten.source_system and party.source_id = forgotten.source_id
                and party.source_object < forgotten.source_object)"""
        )
    there = set(
        con.execute(
            "select table_name, column_name from duckdb_columns() "
            "where database_name = current_database() and schema_name = 'core'"
        ).fetchall()
    )
    for table in _in_order_of_reference():
        for column, target in canonical()[table].references.items():
            if table == "party" or target == "product" or (table, column) not in there:
                continue
            named = column.replace("_id", "_object")
            same = f"line.{named} = forgotten.source_object or line.{named} is null and forgotten.is_first"
            con.execute(
                f"""insert into forgotten
                select distinct {literal(table)}, line.source_system, line.source_object, line.source_id, true
                from core.{table} as line inner join forgotten
                    on forgotten.kind = {literal(target)} and line.source_system = forgotten.source_system
                    and line.{column} = forgotten.source_id
                where {same if (table, named) in there else "forgotten.is_first"}"""
            )
    con.execute("create or replace temp table forgotten_customer (customer_id varchar)")
    for schema, table in (("identity", "customer_membership"), ("golden", "customer_xref")):
        if has_table(con, schema, table):
            con.execute(
                f"""insert into forgotten_customer
                select customer_id from {schema}.{table} group by customer_id
                having bool_and((source_system, source_object, source_id) in
                    (select (source_system, source_object, source_id) from forgotten where kind = 'party'))"""
            )
    if has_table(con, "golden", "customer_redirect"):
        con.execute(
            """insert into forgotten_customer select customer_id from golden.customer_redirect
            where current_customer_id in (select customer_id from forgotten_customer)"""
        )


def find_texts(con: duckdb.DuckDBPyConnection) -> tuple[list[str], set[str]]:
    """The identifying texts of the marked records in a file, and those that others have, too: these stay."""
    others = ", ".join(_IDENTIFYING)
    mine = " union ".join(
        f"select trim(party.{column}) as text from core.party as party inner join forgotten using (source_system, "
        f"source_object, source_id) where forgotten.kind = 'party'"
        for column in (*_IDENTIFYING, "source_id")
    )
    found = con.execute(
        f"select distinct text from ({mine}) where strlen(text) >= {_SHORTEST} order by text"
    ).fetchall()
    texts = sorted({text for (text,) in found if text})
    if not texts:
        return [], set()
    rows = con.execute(
        f"""select concat_ws(chr(10), {others}, source_id, street, website, company_name) as words
        from core.party as party anti join forgotten using (source_system, source_object, source_id)
        where regexp_matches(concat_ws(chr(10), {others}, source_id, street, website, company_name), ?)""",
        [pattern(texts)],
    ).fetchall()
    shared = {text for text in texts for (words,) in rows if re.search(_python(pattern([text])), words)}
    return [text for text in texts if text not in shared], shared


def pattern(texts: Iterable[str]) -> str:
    """A regular expression (RE2) for the texts as words of their own: never a part of a longer name or number.

    Chinese sets no blanks between words, so that three characters or more are found wherever they stand.
    """
    whole: list[str] = []
    anywhere: list[str] = []
    for text in sorted(texts, key=lambda one: (-len(one), one)):
        (anywhere if len(_HAN.findall(text)) >= 3 else whole).append(re.sub(r"([^\w\s]|_)", r"\\\1", text))
    parts = [f"(?:{'|'.join(anywhere)})"] if anywhere else []
    if whole:
        parts.append(rf"(?:^|[^\pL\pN.@_+-])(?:{'|'.join(whole)})(?:$|[^\pL\pN@_])")
    return "|".join(parts) or "a^"


def _python(expression: str) -> str:
    return expression.replace(r"[^\pL\pN.@_+-]", r"[^\w.@+-]").replace(r"[^\pL\pN@_]", r"[^\w@]")


def _in_order_of_reference() -> list[str]:
    """Canonical objects, each after those that it refers to."""
    return sorted(canonical(), key=lambda table: (_depth(table), table))


def _depth(table: str) -> int:
    targets = {target for target in canonical()[table].references.values() if target != table}
    return 1 + max(map(_depth, targets), default=0)
