"""Read SQL models: one file, one SELECT, one table. Belongs here: what a file says. Does not: when it runs."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.warehouse import comment

if TYPE_CHECKING:
    from sqlglot import exp

PACKAGE = Path(__file__).parent
# Tables of these schemas are no assets: the run's own notes, and what the last publish said.
NOT_ASSETS = ("meta", "previous")

_COLUMN_NOTE = re.compile(r"^(\w+)\s{2,}(\S.*)$")


@dataclass(frozen=True)
class SqlModel:
    """A table that is a query: `<package>/<schema>/<table>.sql`."""

    schema: str
    table: str
    sql: str

    @property
    def name(self) -> str:
        """schema.table"""
        return f"{self.schema}.{self.table}"

    @cached_property
    def _notes(self) -> list[str]:
        lines = []
        for line in self.sql.splitlines():
            if not line.startswith("--"):
                break
            lines.append(line.removeprefix("--").strip())
        return lines

    @property
    def description(self) -> str:
        """The leading comment without its column notes."""
        return "\n".join(line for line in self._notes if not _COLUMN_NOTE.match(line)).strip()

    @property
    def column_notes(self) -> dict[str, str]:
        """Column comments from the leading comment: a name, two spaces or more, a text."""
        matches = (_COLUMN_NOTE.match(line) for line in self._notes)
        return {match.group(1): match.group(2) for match in matches if match}

    @cached_property
    def query(self) -> "exp.Query":
        """The parsed statement. Raises CrmQualityError when the file is not one SELECT."""
        import sqlglot
        from sqlglot import exp

        statements = [s for s in sqlglot.parse(self.sql, dialect="duckdb") if s is not None]
        if len(statements) != 1 or not isinstance(statements[0], exp.Query):
            raise CrmQualityError(f"{self.schema}/{self.table}.sql: expected exactly one SELECT")
        return statements[0]

    @cached_property
    def reads(self) -> list[tuple[str, str]]:
        """The (schema, table) pairs that the query reads, sorted, without the run's own notes."""
        try:
            return _tables_of(self.query)
        except ValueError as error:
            raise CrmQualityError(f"{self.schema}/{self.table}.sql: {error}") from error

    def build(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make the table, with the file's comments on it and its columns."""
        con.execute(f"create schema if not exists {self.schema}")
        # The rows of a table have no order, and threads that need not keep one wait and remember less.
        con.execute("set preserve_insertion_order = false")
        try:
            con.execute(f"create or replace table {self.name} as\n{self.sql}")
        finally:
            con.execute("reset preserve_insertion_order")
        notes = self.column_notes
        present = {name for name, *_ in con.execute(f"describe {self.name}").fetchall()}
        comment(con, self.name, self.description, {name: text for name, text in notes.items() if name in present})


def load_models(folder: Path = PACKAGE) -> list[SqlModel]:
    """All models below a folder; the schema of a table is the name of the folder its file stands in."""
    return [
        SqlModel(file.parent.name, file.stem, file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*/*.sql"))
    ]


def tables_read(sql: str) -> list[tuple[str, str]]:
    """The (schema, table) pairs that a statement reads, sorted, without the run's own notes."""
    import sqlglot

    return _tables_of(sqlglot.parse_one(sql, dialect="duckdb"))


def _tables_of(query: "exp.Expr") -> list[tuple[str, str]]:
    from sqlglot import exp

    ctes = {cte.alias for cte in query.find_all(exp.CTE)}
    tables = {(t.db, t.name) for t in query.find_all(exp.Table) if t.db or t.name not in ctes}
    bare = [name for schema, name in tables if not schema]
    if bare:
        raise ValueError(f"write schema.table, not {bare[0]}")
    return sorted(pair for pair in tables if pair[0] not in NOT_ASSETS)


def column_lineage(
    model: SqlModel, schema: dict[str, dict[str, dict[str, str]]]
) -> dict[str, list[tuple[str, str, str]]]:
    """For each column of a model, the (schema, table, column) it is made from.

    `schema` holds schema -> table -> column -> type of every table the model reads. Costs some 20 ms a
    column: call it when a table is materialised, never while a code location loads.
    """
    from sqlglot import MappingSchema, exp
    from sqlglot.lineage import to_node
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    tables = MappingSchema(dict(schema), dialect="duckdb")
    qualified = qualify(model.query.copy(), schema=tables, dialect="duckdb", validate_qualify_columns=False)
    scope = build_scope(qualified)
    assert scope is not None
    found: dict[str, list[tuple[str, str, str]]] = {}
    for select in qualified.selects:
        column = select.alias_or_name
        # Not `lineage`, which copies the query and normalises the schema anew for every column.
        node = to_node(column, scope, "duckdb", tables, trim_selects=False)
        origins = set()
        for leaf in node.walk():
            table = leaf.expression
            if not leaf.downstream and isinstance(table, exp.Table) and table.db:
                origins.add((table.db, table.name, leaf.name.rsplit(".", 1)[-1].strip('"')))
        found[column] = sorted(origins)
    return found
