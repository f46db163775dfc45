"""What the source systems should be told: merges, corrections, ghosts. Belongs here: which. Does not: files, headers."""

from collections.abc import Sequence

import duckdb

from crm_quality.errors import CrmQualityError
from crm_quality.settings import SurvivorRule
from crm_quality.sources.layout import canonical
from crm_quality.warehouse import has_table, literal

# A column of core.party, the field of golden.customer_lineage that it is compared with, and the party type it is for.
_FIELDS = (
    ("full_name", "display_name", "person"),
    ("given_name", "given_name", "person"),
    ("family_name", "family_name", "person"),
    ("company_name", "company_name", "organisation"),
    ("birth_date", "birth_date", ""),
    ("gender", "gender", "person"),
    ("tax_id", "tax_id", ""),
    ("national_id", "national_id", ""),
    ("email", "email", ""),
    ("phone", "phone", ""),
    ("mobile", "mobile", ""),
    ("website", "website", ""),
    ("street", "street", ""),
    ("house_number", "house_number", ""),
    ("city", "city", ""),
    ("region", "region", ""),
    ("postal_code", "postal_code", ""),
    ("country", "country", ""),
    ("industry", "industry", ""),
)
FIELDS = tuple(field for field, _, _ in _FIELDS)
ADDRESS = ("street", "house_number", "city", "region", "postal_code", "country")
_NAMES = ("full_name", "given_name", "family_name", "company_name")
# Rules that say which of two values to show, not that the other is wrong: a transcription is no mistake of a system that
# writes Latin letters, and a name is not right because it was typed last.
_NO_REASON = ("native script", "first by source key")
_NO_REASON_FOR = {
    **dict.fromkeys(_NAMES, ("trusted source", "most recent", "longest valid")),
    "email": ("most recent", "longest valid"),
}

_KEY = "source_system, source_object, source_id"
_SURVIVOR_ORDER: dict[SurvivorRule, str] = {
    "real": "is_real desc",
    "most_children": "children desc",
    "most_complete": "filled desc",
    "longest_known": "created_at nulls last",
    "most_recent": "modified_at desc nulls last",
}


def find(con: duckdb.DuckDBPyConnection, survivor: Sequence[SurvivorRule]) -> None:
    """Make the temporary tables `merge`, `correction`, `deactivation` and `held_back` from the run in the warehouse.

    Raises CrmQualityError where that run is not the one that was published last: what leaves for other systems
    is what readers can look up.
    """
    if (
        not has_table(con, "meta", "current_run")
        or not con.execute(
            "select 1 from meta.run inner join meta.current_run using (run_id) where status = 'published'"
        ).fetchone()
    ):
        raise CrmQualityError(
            "The last run was not published, and only what was published is written back: `crm-quality run` first."
        )
    con.execute("create or replace temp table held_back (source_system varchar, reason varchar)")
    _subjects(con)
    _merges(con, survivor)
    _corrections(con)
    _deactivations(con)


def _subjects(con: duckdb.DuckDBPyConnection) -> None:
    """The records that may be written to at all, with what the choice of a survivor needs."""
    referring = " union all ".join(
        f"select source_system, party_source_id, "
        f"{'party_source_object' if 'party_source_object' in entry.columns else 'null'} as party_source_object from core.{table}"
        for table, entry in canonical().items()
        if "party_source_id" in entry.columns
    )
    filled = " + ".join(f"({field} is not null)::int" for field in FIELDS)
    con.execute(
        f"""create or replace temp table subject as
        with child as (
            select source_system, party_source_id as source_id, coalesce(party_source_object, '') as named, count(*) as children
            from ({referring}) where party_source_id is not null group by all
        ),
        child_of as (
            select party.source_system, party.source_object, party.source_id, sum(child.children) as children
            from core.party as party inner join child on party.source_system = child.source_system
                and party.source_id = child.source_id and child.named in ('', party.source_object)
            group by all
        ),
        doubtful as (
            select customer_id from identity.review_cluster
            union
            select left_customer_id from identity.review_queue where left_customer_id = right_customer_id and status = 'open'
        )
        select xref.customer_id, {_KEY}, party.party_type, party.created_at, party.modified_at,
            coalesce(verdict.verdict, 'unverified') as verdict, verdict.reasons, verdict.verdict = 'real' as is_real,
            coalesce(child_of.children, 0) as children, {filled} as filled, xref.match_probability, xref.match_reason,
            case
                when party.is_deleted or party.merged_into_source_id is not null then 'deleted or merged in its system already'
                when quarantine.source_id is not null then 'another line of the record is quarantined'
                when xref.customer_id in (select customer_id from doubtful)
                    then 'a steward has not yet decided whether the records of the customer belong together'
            end as kept_out
        from core.party as party
        inner join golden.customer_xref as xref using ({_KEY})
        left join quality.ghost_verdict as verdict using ({_KEY})
        left join child_of using ({_KEY})
        left join (
            select distinct {_KEY} from quality.quarantine
            where table_name = 'core.party' and reason <> 'repeated line'
        ) as quarantine using ({_KEY})"""
    )


def _merges(con: duckdb.DuckDBPyConnection, survivor: Sequence[SurvivorRule]) -> None:
    """Records of one object that are one customer: the survivor is first by the declared rules, then by its id."""
    order = ", ".join([*(_SURVIVOR_ORDER[rule] for rule in survivor), "source_id"])
    con.execute(
        f"""create or replace temp table merge as
        with member as (
            select *, first_value(source_id) over (partition by customer_id, source_system, source_object order by {order})
                as survivor_id
            from subject where kept_out is null and verdict <> 'ghost'
        )
        select {_KEY}, survivor_id, match_probability, match_reason as reason from member where source_id <> survivor_id"""
    )
    con.execute(
        """insert into held_back
        select source_system, 'merge: ' || kept_out from (
            select *, count(*) over (partition by customer_id, source_system, source_object) as records
            from subject where verdict <> 'ghost'
        ) where records > 1 and kept_out like 'a steward%'"""
    )


def _corrections(con: duckdb.DuckDBPyConnection) -> None:
    """One row per field of a surviving record where golden knows better, with the reason that lineage gives.

    A value is never taken away, nor put in the place of a transcription of it; an address is corrected as a whole.
    """
    given = " union all ".join(
        f"select {_KEY}, {literal(field)} as field, {literal(golden)} as golden_field, party.{field}::varchar as value "
        f"from core.party as party" + (f" where party_type = {literal(party_type)}" if party_type else "")
        for field, golden, party_type in _FIELDS
    )
    no_reason = " or ".join(
        f"{of_field}lineage.rule in ({', '.join(map(literal, rules))})"
        for of_field, rules in [
            ("", _NO_REASON),
            *((f"given.field = {literal(field)} and ", rules) for field, rules in _NO_REASON_FOR.items()),
        ]
    )
    not_latin = "regexp_matches({}, '[\\x{{0370}}-\\x{{1dff}}\\x{{2e80}}-\\x{{ffdc}}]')"
    con.execute(
        f"""create or replace temp table difference as
        select subject.customer_id, {", ".join(f"given.{key}" for key in _KEY.split(", "))}, given.field, given.value, lineage.value as new_value,
            case when given.field in ({", ".join(map(literal, ADDRESS))}) then 'address' else given.field end as unit,
            lineage.rule,
            case when lineage.rule like 'steward decision%' then lineage.rule
                else concat(lineage.rule, ': ', lineage.source_system, '/', lineage.source_object, '/', lineage.source_id)
            end as reason,
            case
                when subject.kept_out is not null then subject.kept_out
                when lineage.value is null then 'golden has no value to put in its place'
                when lineage.rule like 'no value in a record that is not deleted%' then 'golden has the value of a deleted record'
                when given.value is not null and ({no_reason})
                    then 'no rule but ' || lineage.rule || ' speaks for the other value'
                when given.value is not null and {not_latin.format("given.value")} <> {not_latin.format("lineage.value")}
                    then 'the same in another script, perhaps'
            end as kept_out
        from ({given}) as given
        inner join subject using ({_KEY})
        left join golden.customer_lineage as lineage
            on subject.customer_id = lineage.customer_id and given.golden_field = lineage.field
        left join merge using ({_KEY})
        left join golden.customer as customer on subject.customer_id = customer.customer_id
        left join core.party as party using ({_KEY})
        where merge.source_id is null and subject.verdict <> 'ghost'
            and lower(given.value) is distinct from lower(lineage.value)
            -- who has several numbers has no wrong one where another of them stands
            and not (given.field = 'phone' and lineage.value in (customer.mobile, party.mobile))
            and not (given.field = 'phone' and given.value = customer.mobile)
            and not (given.field = 'mobile' and coalesce(lineage.value = party.phone, false))
            and not (given.field = 'national_id' and given.value is null)"""
    )
    con.execute(
        f"""create or replace temp table correction as
        with judged as (
            select *, max(kept_out) over (partition by {_KEY}, unit) as unit_kept_out from difference
        )
        select * exclude (kept_out, unit_kept_out) from judged where unit_kept_out is null"""
    )
    con.execute(
        """insert into held_back
        select source_system, 'correction: ' || kept_out from difference
        where kept_out is not null and (value is not null or new_value is not null)"""
    )


def _deactivations(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"""create or replace temp table deactivation as
        select {_KEY}, reasons as reason from subject where verdict = 'ghost' and kept_out is null"""
    )
