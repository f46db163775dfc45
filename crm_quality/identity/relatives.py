"""How far relatives share numbers and homes in the data at hand. Does not belong here: what follows from it."""

from __future__ import annotations

import duckdb

# Above this share, records of one family name and home are rather those of relatives than of one person.
RELATIVES = 0.5
# More records of one family name at one address are those of an office or of a placeholder; their pairs would explode.
MOST_AT_HOME = 20


def shared_by_relatives(con: duckdb.DuckDBPyConnection, column: str) -> float:
    """The share (0..1) of two persons among records of one family name and one value of a column (phone_1, address),
    but not one given name.

    Some are relatives who share it, some one person entered with a slip or a nickname. Birth date, national id and
    gender tell the former, birth date, national id and e-mail the latter; the two are counted, and one of each taken
    for granted. Where nothing tells, the share is a half, or that of these records among all who have name and value
    in common, if it is more: nobody is entered with slips more often than without.
    """
    row = con.execute(
        f"""
        with member as (
            select record_number, {column} as shared, family, given, birth_date, national_text, gender, email
            from identity.person_feature
            where {column} is not null and family is not null
            qualify count(*) over (partition by {column}, family) between 2 and {MOST_AT_HOME}
        ),
        pair as (
            select
                jaro_winkler_similarity(l.given, r.given) < 0.75 as is_other,
                levenshtein(l.birth_date, r.birth_date) > 2 or levenshtein(l.national_text, r.national_text) > 2
                    or l.gender <> r.gender as differs,
                levenshtein(l.birth_date, r.birth_date) <= 2 or levenshtein(l.national_text, r.national_text) <= 2
                    or l.email = r.email as agrees
            from member as l
            join member as r on l.shared = r.shared and l.family = r.family and l.record_number < r.record_number
        )
        select
            count(*) filter (is_other and differs),
            count(*) filter (is_other and (differs or agrees)),
            count(*) filter (is_other),
            count(is_other)
        from pair
        """
    ).fetchone()
    differing, told, others, pairs = row or (0, 0, 0, 0)
    share = (differing + 1) / (told + 2) if told else max(0.5, others / max(pairs, 1))
    return round(float(share), 4)
