"""Where Dagster keeps the history of runs and checks. Does not belong here: what is in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage


class EventLog(ConsolidatedSqliteEventLogStorage):
    """Dagster's SQLite event log with one engine for all events instead of a new one for each.

    A run of 85 assets and 480 checks writes some 2,000 events. Opening, compiling, syncing and closing for
    every one of them costs more than the run's own work. In WAL mode, `synchronous = normal` cannot corrupt
    the file; a power cut may lose the last events of a history that the warehouse does not depend on.
    """

    @cached_property
    def _engine(self) -> sa.Engine:
        engine = sa.create_engine(self._conn_string, connect_args={"timeout": 30})

        @sa.event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: Any) -> None:
            connection.execute("pragma synchronous = normal")

        return engine

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the log has a table. Asked anew for every check's event, though a table once made stays."""
        if table_name not in self._tables_seen and super().has_table(table_name):
            self._tables_seen.add(table_name)
        return table_name in self._tables_seen

    @cached_property
    def _tables_seen(self) -> set[str]:
        return set()
