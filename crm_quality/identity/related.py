"""The pairs of records that hang together, compared or not. Does not belong here: scores, and what is one customer."""

from __future__ import annotations

import duckdb
import numpy as np

from crm_quality.identity.components import components
from crm_quality.identity.reuse import INSIDE
from crm_quality.warehouse import scalar

# Components larger than this are not completed: their pairs would explode.
LARGEST_COMPONENT = 60


def relate(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.related: all pairs inside components (match_weight NULL where unscored).

    Of a component too large to list all pairs, only those that are scored or certain.
    """
    import pyarrow as pa

    con.execute(
        f"create or replace view {schema}.scored as"
        f" select record_number_l, record_number_r, match_weight from {schema}.weighed union all from {schema}.known"
    )
    edges = con.execute(
        f"select record_number_l as l, record_number_r as r from {schema}.scored where match_weight >= 0"
        f" union all select record_number_l, record_number_r from {schema}.certain"
    ).fetchnumpy()
    (size,) = con.execute("select coalesce(max(record_number), 0) + 1 from identity.record").fetchone() or (1,)
    label = components(int(size), np.asarray(edges["l"]), np.asarray(edges["r"]))
    counts = np.bincount(label, minlength=int(size))
    member = np.flatnonzero(counts[label] > 1)
    con.register(
        "component_in",
        pa.table({"record_number": member, "component": label[member], "records": counts[label[member]]}),
    )
    con.execute(f"create or replace table {schema}.component as select * from component_in")
    con.unregister("component_in")
    con.execute(
        f"""
        create or replace table {schema}.related as
        with listed as (
            select l.record_number as record_number_l, r.record_number as record_number_r
            from {schema}.component as l
            join {schema}.component as r on l.component = r.component and l.record_number < r.record_number
            where l.records <= {LARGEST_COMPONENT}
            union all
            select l.record_number, r.record_number
            from (
                select record_number_l, record_number_r from {schema}.scored
                union select record_number_l, record_number_r from {schema}.certain
            ) as edge
            join {schema}.component as l on l.record_number = edge.record_number_l
            join {schema}.component as r on r.record_number = edge.record_number_r
            where l.component = r.component and l.records > {LARGEST_COMPONENT}
        )
        select listed.*, scored.match_weight
        from listed
        left join {schema}.scored as scored using (record_number_l, record_number_r)
        """
    )


def missing_inside(con: duckdb.DuckDBPyConnection, table: str, schema: str) -> int:
    """Create {schema}.inside: pairs of {schema}.related, among the records of `table`, that blocking or the weight
    limit left out. Returns how many.
    """
    con.execute(
        f"""
        create or replace table {schema}.inside as
        select record_number_l as join_key_l, record_number_r as join_key_r, '{INSIDE}' as match_key
        from {schema}.related
        where match_weight is null
            and record_number_l in (select record_number from {table})
            and record_number_r in (select record_number from {table})
        """
    )
    return scalar(con, f"select count(*) from {schema}.inside")
