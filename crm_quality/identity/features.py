"""Build the feature tables from core.party. Belongs here: what needs more than one SELECT. Does not: comparing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np

_FOLDER = Path(__file__).parent
VECTOR_SIZE = 128
UNIT_WEIGHT = "name unit"
# Shorter words, and those with digits, are no slips of each other: too many words are one letter apart.
LEAST_SPELT = 5
LONG_SPELT = 9
# The cosine of two slips of one word; of a slip and the word, its root.
SLIP = 0.8
# Each word falls into one place of every part of the vector, chosen by the bits of its hash from here on.
SHIFTS = (0, 8, 16, 24, 32, 40, 48, 56)
PART = VECTOR_SIZE // len(SHIFTS)
FEATURE_MODELS = ("record", "person_feature", "organisation_feature")


def build_features(con: duckdb.DuckDBPyConnection) -> None:
    """(Re)create identity.record, identity.person_feature and identity.organisation_feature from their SQL files."""
    con.execute("create schema if not exists identity")
    for model in FEATURE_MODELS:
        sql = (_FOLDER / f"{model}.sql").read_text(encoding="utf-8")
        con.execute(f"create or replace table identity.{model} as {sql}")


def build_name_units(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.name_unit (record_number, unit, place): words, or characters of Chinese names, in their order.

    What a Japanese name spells in kana is a word beside its characters: トヨタ 自 動 車.
    """
    con.execute(
        f"""
        create or replace table {schema}.name_unit as
        with name as (
            select
                record_number,
                case
                    when regexp_matches(core, '[一-鿿]')
                        then list_filter(regexp_extract_all(core, '[a-z0-9]+|[一-鿿々]|[ァ-ヺー]+|[ぁ-ゖ]+'), unit -> unit <> '')
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


def build_unit_weights(con: duckdb.DuckDBPyConnection, schema: str, stored: str | None) -> None:
    """Create {schema}.unit_weight (unit, weight, meant): inverse document frequencies, and the word that is meant.

    `meant` is the unit itself, or the more frequent word that it is a slip of. `stored` is a table expression
    (column_name, value, frequency), see `unit_weight_query`: weights and meanings that followed every night's names
    would change the vectors of all the others.
    """
    known = (
        f"select value as unit, frequency as weight from {stored} where column_name = '{UNIT_WEIGHT}'"
        if stored
        else unit_weights(schema)
    )
    con.execute(f"create or replace table {schema}.known_unit as {known}")
    con.execute(
        f"""
        create or replace table {schema}.unit_weight as
        select unit, coalesce(known.weight, (select weight from {schema}.known_unit where unit is null)) as weight
        from (select distinct unit from {schema}.name_unit) as present
        left join {schema}.known_unit as known using (unit)
        """
    )
    _find_meant(con, schema)


def _find_meant(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Add the column `meant` to {schema}.unit_weight, chosen among {schema}.known_unit.

    Words one slip apart, or two in long ones, have a text in common if one letter is left out of either or both
    (symmetric deletion, Garbe 2012). Of several neighbours the most frequent is meant.
    """
    con.execute(
        f"""
        create or replace table {schema}.shortened as
        select unit, weight, is_present, unnest(list_distinct(list_prepend(unit, list_transform(
            range(1, length(unit) + 1), place -> concat(left(unit, place - 1), substr(unit, place + 1))
        )))) as part
        from (
            select unit, weight, false as is_present from {schema}.known_unit
            union all
            select unit, weight, true from {schema}.unit_weight
        )
        where length(unit) >= {LEAST_SPELT} and regexp_matches(unit, '^[^0-9]+$')
        """
    )
    con.execute(
        f"""
        create or replace table {schema}.next_unit as
        select present.unit, arg_min(known.unit, struct_pack(weight := known.weight, unit := known.unit)) as meant
        from {schema}.shortened as present
        join {schema}.shortened as known on present.part = known.part
        where present.is_present and not known.is_present
            and (known.weight < present.weight or known.weight = present.weight and known.unit < present.unit)
            and damerau_levenshtein(present.unit, known.unit)
                <= case when least(length(present.unit), length(known.unit)) >= {LONG_SPELT} then 2 else 1 end
        group by present.unit
        """
    )
    con.execute(
        f"""
        create or replace table {schema}.unit_weight as
        select present.unit, coalesce(known.weight, present.weight) as weight, coalesce(next.meant, present.unit) as meant
        from {schema}.unit_weight as present
        left join {schema}.next_unit as next on next.unit = present.unit
        left join {schema}.known_unit as known on known.unit = next.meant
        """
    )


def unit_weights(schema: str) -> str:
    """SELECT of (unit, weight) of the units at hand, and of any other (unit NULL)."""
    return f"""
        select unit, ln(1 + any_value(records) / count(distinct record_number)) as weight
        from {schema}.name_unit, (select count(distinct record_number) as records from {schema}.name_unit)
        group by unit
        union all
        select null, ln(1 + count(distinct record_number)) from {schema}.name_unit
    """


def unit_weight_query(schema: str) -> str:
    """SELECT of (column_name, value, frequency) of `unit_weights`."""
    return f"""
        select '{UNIT_WEIGHT}' as column_name, unit as value, weight as frequency from ({unit_weights(schema)})
    """


def build_name_tokens(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.name_token (record_number, token): hashes of the units of names as they are meant, and of pairs.

    A pair keeps the order but not the distance: a short name (AB科技) keeps all pairs that it has in the
    legal name (AB智能科技股份有限公司), which adjacent pairs would lose.
    """
    con.execute(
        f"""
        create or replace table {schema}.meant_unit as
        select record_number, meant as unit, place
        from {schema}.name_unit
        join {schema}.unit_weight using (unit)
        """
    )
    con.execute(
        f"""
        create or replace table {schema}.name_token as
        select record_number, hash(unit) as token
        from {schema}.meant_unit
        where length(unit) > 1
        union
        select l.record_number, hash(l.unit, r.unit)
        from {schema}.meant_unit as l
        join {schema}.meant_unit as r on l.record_number = r.record_number and l.place < r.place
        """
    )


def build_name_vectors(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.name_vector for the records of {schema}.wanted: record_number, name_vector FLOAT[128] of length
    1, name_norm.

    Each unit weighs what {schema}.unit_weight says and falls with signs into one place of each part of the vector
    (feature hashing, Weinberger et al. 2009), so that the inner product of two vectors is the cosine of the weighted
    units; several places, so that units that meet in one are told apart by the others. A slip falls for the most part
    where the word that is meant does.
    """
    units = con.execute(
        f"""
        select record_number, weight, meant = unit as is_meant, md5_number_lower(unit) as hash, md5_number_lower(meant) as meant_hash
        from (select distinct record_number, unit from {schema}.name_unit)
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
    weights = np.asarray(units["weight"], dtype=np.float32)
    is_slip = ~np.asarray(units["is_meant"], dtype=bool)
    vectors = np.zeros((len(records), VECTOR_SIZE), dtype=np.float32)
    meant = np.where(is_slip, np.float32(SLIP**0.5), np.float32(1))
    _add_units(vectors, position, np.asarray(units["meant_hash"]), weights * meant)
    slips = weights[is_slip] * np.float32((1 - SLIP) ** 0.5)
    _add_units(vectors, position[is_slip], np.asarray(units["hash"])[is_slip], slips)
    norms = np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-6).astype(np.float64)
    vectors /= norms[:, None].astype(np.float32)
    _insert_vectors(con, schema, records, vectors, norms)


def _add_units(vectors: np.ndarray, position: np.ndarray, hashes: np.ndarray, weights: np.ndarray) -> None:
    for part, shift in enumerate(SHIFTS):
        bits = hashes.astype(np.uint64) >> np.uint64(shift)
        sign = np.where((bits >> np.uint64(4)) & np.uint64(1) == 0, np.float32(1), np.float32(-1))
        place = part * PART + (bits % np.uint64(PART)).astype(np.int64)
        np.add.at(vectors, (position, place), sign * weights)


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
