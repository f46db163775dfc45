"""How many threads the numeric libraries use. Does not belong here: DuckDB's, which are settings."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: with several, work this small spends its time waiting for the others."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
