"""Build the feature tables from core.party. Belongs here: what needs more than one SELECT. Does not: comparing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np

_FOLDER = Path(__file__).parent
VECTOR_SIZE = 128
UNIT_WEIGHT = "name unit"
FEATURE_MODELS = ("record", "person_feature", "organisation_feature")


def build_features(con: duckdb.DuckDBPyConnection) -> None:
    """(Re)create identity.record, identity.person_feature and identity.organisation_feature from their SQL files."""
    con.execute("create schema if not exists identity")
    for model in FEATURE_MODELS:
        sql = (_FOLDER / f"{model}.sql").read_text(encoding="utf-8")
        con.execute(f"create or replace table identity.{model} as {sql}")


def build_name_tokens(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.name_unit (words, or characters of Chinese names) and {schema}.name_token (units and pairs).

    A pair keeps the order but not the distance: a short name (AB科技) keeps all pairs that it has in the
    legal name (AB智能科技股份有限公司), which adjacent pairs would lose.
    """
    con.execute(
        f"""
        create or replace table {schema}.name_unit as
        with name as (
            select
                record_number,
                case
                    when regexp_matches(core, '[一-鿿]')
                        then list_filter(regexp_extract_all(core, '[a-z0-9]+|[一-鿿]'), unit -> unit <> '')
                    else string_split(coalesce(company_key, core), ' ')
                end as units
            from identity.organisation_feature
            where coalesce(core, company_key) is not null
        )
        select record_number, unnest(units) as unit, unnest(range(len(units))) as place
        from name
        """
    )
    con.execute(f"delete from {schema}.name_unit where unit = '' or place >= 12")
    con.execute(
        f"""
        create or replace table {schema}.name_token as
        select distinct record_number, unit as token
        from {schema}.name_unit
        where length(unit) > 1
        union
        select distinct l.record_number, l.unit || ' ' || r.unit
        from {schema}.name_unit as l
        join {schema}.name_unit as r on l.record_number = r.record_number and l.place < r.place
        """
    )


def build_unit_weights(con: duckdb.DuckDBPyConnection, schema: str, stored: str | None) -> None:
    """Create {schema}.unit_weight (unit, weight): inverse document frequencies, those of `stored` if given.

    `stored` is a table expression (column_name, value, frequency), see `unit_weight_query`. Weights that followed
    every night's names would change the vectors of all the others.
    """
    if stored is None:
        weights = f"""
            select unit, ln(1 + any_value(records) / count(distinct record_number)) as weight
            from {schema}.name_unit, (select count(distinct record_number) as records from {schema}.name_unit)
            group by unit
        """
    else:
        known = f"select value, frequency from {stored} where column_name = '{UNIT_WEIGHT}'"
        weights = f"""
            select present.unit, coalesce(known.frequency, (select frequency from ({known}) where value is null)) as weight
            from (select distinct unit from {schema}.name_unit) as present
            left join ({known}) as known on known.value = present.unit
        """
    con.execute(f"create or replace table {schema}.unit_weight as {weights}")


def unit_weight_query(schema: str) -> str:
    """SELECT of (column_name, value, frequency): weights of units on several records, and of any other (value NULL)."""
    return f"""
        select '{UNIT_WEIGHT}' as column_name, unit as value, weight as frequency
        from {schema}.unit_weight
        where unit in (select unit from {schema}.name_unit group by unit having count(distinct record_number) > 1)
        union all
        select '{UNIT_WEIGHT}', null, ln(1 + count(distinct record_number)) from {schema}.name_unit
    """


def build_name_vectors(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.name_vector for the records of {schema}.wanted: record_number, name_vector FLOAT[128] of length
    1, name_norm.

    Each unit weighs what {schema}.unit_weight says and falls with signs into two of 128 places (feature
    hashing, Weinberger et al. 2009), so that the inner product of two vectors is the cosine of the weighted units;
    two places, so that units that meet in one are told apart by the other.
    """
    units = con.execute(
        f"""
        select distinct record_number, unit, weight, md5_number_lower(unit) as hash
        from {schema}.name_unit
        join {schema}.unit_weight using (unit)
        join {schema}.wanted using (record_number)
        order by record_number, unit
        """
    ).fetchnumpy()
    con.execute(
        f"create or replace table {schema}.name_vector"
        f" (record_number bigint, name_vector float[{VECTOR_SIZE}], name_norm double)"
    )
    numbers = np.asarray(units["record_number"])
    if len(numbers) == 0:
        return
    records, position = np.unique(numbers, return_inverse=True)
    hashes = np.asarray(units["hash"]).astype(np.uint64)
    weights = np.asarray(units["weight"], dtype=np.float32)
    vectors = np.zeros((len(records), VECTOR_SIZE), dtype=np.float32)
    for shift in (0, 24):
        bits = hashes >> np.uint64(shift)
        sign = np.where((bits >> np.uint64(16)) & np.uint64(1) == 0, np.float32(1), np.float32(-1))
        np.add.at(vectors, (position, (bits % np.uint64(VECTOR_SIZE)).astype(np.int64)), sign * weights)
    norms = np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-6).astype(np.float64)
    vectors /= norms[:, None].astype(np.float32)
    _insert_vectors(con, schema, records, vectors, norms)


def _insert_vectors(
    con: duckdb.DuckDBPyConnection, schema: str, records: np.ndarray, vectors: np.ndarray, norms: np.ndarray
) -> None:
    import pyarrow as pa

    table = pa.table(
        {
            "record_number": pa.array(records),
            "name_vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), VECTOR_SIZE),
            "name_norm": pa.array(norms),
        }
    )
    con.register("name_vectors_in", table)
    con.execute(f"insert into {schema}.name_vector select record_number, name_vector, name_norm from name_vectors_in")
    con.unregister("name_vectors_in")
