"""Spell names with given names in full for nicknames. Does not belong here: the list of them, comparing."""

from __future__ import annotations

import duckdb

from crm_quality.standardise.words import load


def build_formal_names(con: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create {schema}.formal_name (name_key, formal_key) for the names of persons with a nickname among their words.

    A nickname of several names stands for the first of them in the alphabet: without a dictionary of persons, alex is
    alexander.
    """
    import pyarrow as pa

    formal = _formal_names(load("names")["nicknames"])
    con.register("nickname_in", pa.table({"word": list(formal), "formal": list(formal.values())}))
    con.execute(
        f"""
        create or replace table {schema}.formal_name as
        with word as (
            select name_key, unnest(string_split(name_key, ' ')) as word
            from (select distinct name_key from identity.person_feature where name_key is not null)
        ),
        informal as (select distinct name_key from word join nickname_in using (word))
        select name_key, string_agg(coalesce(formal, word), ' ' order by coalesce(formal, word)) as formal_key
        from word
        join informal using (name_key)
        left join nickname_in using (word)
        group by name_key
        """
    )
    con.unregister("nickname_in")


def _formal_names(nicknames: dict[str, str]) -> dict[str, str]:
    formal: dict[str, str] = {}
    for name, nicks in sorted(nicknames.items()):
        for nick in nicks.split():
            formal.setdefault(nick, name)
    return formal
