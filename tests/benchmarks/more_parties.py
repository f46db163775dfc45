"""Make a larger company of the parties of a warehouse. Belongs here: other parties like those at hand. Does not: timing.

Plain copies would be as many duplicates of everybody. Here every copy is of other people and companies: each name is
exchanged for another about as frequent, numbers, addresses and birth dates are moved, always by value, so that the
duplicates of a copy stay duplicates and names stay as frequent as they are.
"""

from __future__ import annotations

import duckdb

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"


def multiply(con: duckdb.DuckDBPyConnection, copies: int) -> None:
    """Add `copies` - 1 copies of core.party to it."""
    if copies == 1:
        return
    con.execute("create temp table first_party as from core.party")
    for column, words in {
        "given": "given_key",
        "family": "family_key",
        "head": "split_part(company_key, ' ', 1)",
    }.items():
        con.execute(
            f"""
            create or replace temp table other_{column} as
            with ranked as (
                select value, row_number() over (order by count(*) desc, value) as place, count(*) over () as names
                from (select {words} as value from first_party) where value <> ''
                group by value
            )
            select one.value, other.value as other, copy
            from ranked as one
            cross join range(1, {copies}) as copies (copy)
            join ranked as other on other.place = (one.place + copy - 1) % one.names + 1
            """
        )
    for copy in range(1, copies):
        con.execute(_copy(copy))
    for table in ("first_party", "other_given", "other_family", "other_head"):
        con.execute(f"drop table {table}")


def _copy(copy: int) -> str:
    def moved(column: str) -> str:
        """Another number or identifier of the same form."""
        return f"translate({column}, '{DIGITS}', '{DIGITS[copy:]}{DIGITS[:copy]}')"

    def number(column: str) -> str:
        return f"left({column}, -7) || {moved(f'right({column}, 7)')}"

    def spelt(column: str) -> str:
        return f"translate({column}, '{LETTERS}', '{LETTERS[copy:]}{LETTERS[:copy]}')"

    def suffixed(column: str) -> str:
        return f"case when {column} <> '' then concat({column}, '~{copy}') end"

    local_part = "split_part(email, '@', 1)"
    replaced = {
        "source_id": suffixed("source_id"),
        "merged_into_source_id": suffixed("merged_into_source_id"),
        "parent_source_id": suffixed("parent_source_id"),
        "merged_source_ids": "null",
        "account_number": suffixed("account_number"),
        "given_key": "given.other",
        "family_key": "family.other",
        "name_key": "case when name_key is not null then"
        " array_to_string(list_sort(string_split(concat_ws(' ', given.other, family.other), ' ')), ' ') end",
        "name_hanzi": "case when name_hanzi is not null then concat("
        f"chr(unicode(left(name_hanzi, 1)) + {copy}), chr(unicode(substr(name_hanzi, 2)) + {copy}), substr(name_hanzi, 3)) end",
        "company_key": "replace(company_key, split_part(company_key, ' ', 1), head.other)",
        "company_core": "case when regexp_matches(company_core, '[一-鿿]')"
        f" then concat(chr(unicode(left(company_core, 1)) + {copy}), substr(company_core, 2))"
        " else replace(company_core, split_part(company_key, ' ', 1), head.other) end",
        "birth_date": f"birth_date + {37 * copy}",
        **{
            column: moved(column)
            for column in ("tax_id", "tax_id_raw", "national_id", "national_id_raw", "house_number")
        },
        **{column: number(column) for column in ("phone", "phone_raw", "mobile", "mobile_raw")},
        "email": f"case when email_is_free then concat({spelt(local_part)}, '@', email_domain)"
        f" else {spelt('email')} end",
        "email_domain": f"case when email_is_free then email_domain else {spelt('email_domain')} end",
        "website": spelt("website"),
    }
    columns = ", ".join(f"{value} as {column}" for column, value in replaced.items())
    return f"""
        insert into core.party
        select party.* replace ({columns})
        from first_party as party
        left join other_given as given on given.value = given_key and given.copy = {copy}
        left join other_family as family on family.value = family_key and family.copy = {copy}
        left join other_head as head on head.value = split_part(company_key, ' ', 1) and head.copy = {copy}
    """
