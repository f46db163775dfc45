-- Survivorship: for every field of every customer the value that won, the source record it came from, the rule that chose it
-- and the values that lost. Which rules apply to a field, and in which order, is declared in golden/survivorship.yaml, or in a
-- project's own survivorship.yaml. A steward's field override beats everything. Records judged ghosts take no part, so a
-- customer known only from ghosts has no fields; a deleted record and a junk name count only where there is nothing else.
-- Fields of one unit (the parts of a name, of an address) come from one record.
-- customer_id      the customer
-- field            column of golden.customer; national_id, house_number and status are kept only here
-- value            the winning value as text; empty only where a steward cleared the field
-- source_system    system of the record that the value came from
-- source_object    object of that record
-- source_id        id of that record
-- rule             why this value won: the rule that told it from the best other value
-- lost_values      other values of the field in records of the customer, best first, each with its record
with mobile_number as (
    select distinct e164 from standard.phone where kind = 'mobile'
),

-- Name parts that more than one customer bears: a slip of the keyboard has none to share it with.
borne_name as (
    select part.field, part.name
    from (
        select xref.customer_id, 'given_name' as field, lower(party.given_name) as name
        from identity.customer_xref as xref
        inner join core.party as party
            on
                xref.source_system = party.source_system
                and xref.source_object = party.source_object
                and xref.source_id = party.source_id
        where party.given_name is not null
        union all
        select xref.customer_id, 'family_name' as field, lower(party.family_name) as name
        from identity.customer_xref as xref
        inner join core.party as party
            on
                xref.source_system = party.source_system
                and xref.source_object = party.source_object
                and xref.source_id = party.source_id
        where party.family_name is not null
    ) as part
    group by part.field, part.name
    having min(part.customer_id) <> max(part.customer_id)
),

-- Customers with several e-mail addresses. One that spells its owner's name, or begins as those of others do (office@),
-- has no slip of the keyboard in it.
emailed as (
    select
        xref.customer_id,
        party.email,
        split_part(party.email, '@', 1) as local_part,
        replace(party.given_key, ' ', '') as given_key,
        replace(party.family_key, ' ', '') as family_key,
        min(party.email) over customer <> max(party.email) over customer as is_disputed
    from identity.customer_xref as xref
    inner join core.party as party
        on
            xref.source_system = party.source_system
            and xref.source_object = party.source_object
            and xref.source_id = party.source_id
    window customer as (partition by xref.customer_id)
),

shared_local_part as (
    select local_part
    from emailed
    where local_part is not null
    group by local_part
    having min(customer_id) <> max(customer_id)
),

spelt_email as (
    select address.customer_id, address.email
    from emailed as address
    inner join emailed as named on address.customer_id = named.customer_id
    where
        address.is_disputed
        and address.email is not null
        and regexp_replace(address.local_part, '[^a-z]', '', 'g') in (
            named.given_key || named.family_key,
            named.family_key || named.given_key,
            named.given_key,
            named.family_key,
            left(named.given_key, 1) || named.family_key,
            named.family_key || left(named.given_key, 1),
            named.given_key || left(named.family_key, 1),
            left(named.family_key, 1) || named.given_key
        )
    union
    select address.customer_id, address.email
    from emailed as address
    inner join shared_local_part as shared on address.local_part = shared.local_part
    where address.is_disputed
),

-- Where postal codes with which beginning are known to lie.
postal_area as (
    select distinct lower(city) as city, left(postal_code, 3) as area
    from core.party
    where city is not null and postal_code is not null
),

member as (
    select
        row_number() over (order by xref.source_system, xref.source_object, xref.source_id) as record_number,
        count(*) over (partition by xref.customer_id) as record_count,
        xref.customer_id,
        xref.source_system,
        xref.source_object,
        xref.source_id,
        party.party_type,
        case
            when party.party_type = 'organisation' then coalesce(party.company_name, party.full_name)
            else party.full_name
        end as display_name,
        party.given_name,
        party.family_name,
        party.company_name,
        cast(party.birth_date as varchar) as birth_date,
        party.gender,
        party.tax_id,
        party.national_id,
        party.account_number,
        party.email,
        coalesce(party.phone, party.mobile) as phone,
        party.mobile,
        party.website,
        party.street,
        party.house_number,
        party.city,
        party.region,
        party.postal_code,
        party.country,
        party.industry,
        party.owner,
        party.status,
        party.lifecycle_stage,
        case when party.company_legal_form is null then 1 else 2 end as company_parts,
        party.name_problem is not null as has_junk_name,
        coalesce(cast(party.email_bounced_at as varchar), party.email_bounce_reason) is not null as has_bounced,
        coalesce(party.is_deleted, false) as is_deleted,
        coalesce(source.priority, 2147483647) as priority,
        -- a date that lies in the future says nothing about which value is newer
        case
            when cast(coalesce(party.modified_at, party.created_at) as date) <= party.extract_date
                then coalesce(party.modified_at, party.created_at)
        end as changed_at,
        case when cast(party.created_at as date) <= party.extract_date then party.created_at end as created_at
    from identity.customer_xref as xref
    inner join core.party as party
        on
            xref.source_system = party.source_system
            and xref.source_object = party.source_object
            and xref.source_id = party.source_id
    left join quality.ghost_verdict as ghost
        on
            xref.source_system = ghost.source_system
            and xref.source_object = ghost.source_object
            and xref.source_id = ghost.source_id
    left join meta.source as source
        on xref.source_system = source.source_system
    where coalesce(ghost.verdict, 'unverified') <> 'ghost'
),

-- One row per field that a record fills. parts: how much of its unit the value fills; doubt: what speaks against it.
given as (
    select member.record_number, 'party_type' as field, member.party_type as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.party_type is not null
    union all
    select member.record_number, 'display_name' as field, member.display_name as value, case when member.party_type = 'organisation' then member.company_parts else 1 end as parts, cast(null as integer) as doubt
    from member
    where member.display_name is not null
    union all
    select member.record_number, 'given_name' as field, member.given_name as value, 1 as parts, case when borne.name is null then 1 else 0 end as doubt
    from member
    left join borne_name as borne on borne.field = 'given_name' and lower(member.given_name) = borne.name
    where member.given_name is not null and member.party_type = 'person'
    union all
    select member.record_number, 'family_name' as field, member.family_name as value, 1 as parts, case when borne.name is null then 1 else 0 end as doubt
    from member
    left join borne_name as borne on borne.field = 'family_name' and lower(member.family_name) = borne.name
    where member.family_name is not null and member.party_type = 'person'
    union all
    select member.record_number, 'company_name' as field, member.company_name as value, member.company_parts as parts, cast(null as integer) as doubt
    from member
    where member.company_name is not null
    union all
    select member.record_number, 'birth_date' as field, member.birth_date as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.birth_date is not null
    union all
    select member.record_number, 'gender' as field, member.gender as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.gender is not null
    union all
    select member.record_number, 'tax_id' as field, member.tax_id as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.tax_id is not null
    union all
    select member.record_number, 'national_id' as field, member.national_id as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.national_id is not null
    union all
    select member.record_number, 'account_number' as field, member.account_number as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.account_number is not null
    union all
    select member.record_number, 'email' as field, member.email as value, 1 as parts, case when member.has_bounced then 2 else 0 end + case when spelt_email.email is null then 1 else 0 end as doubt
    from member
    left join spelt_email on member.customer_id = spelt_email.customer_id and member.email = spelt_email.email
    where member.email is not null
    union all
    select member.record_number, 'phone' as field, member.phone as value, 1 as parts, case when mobile_number.e164 is null then 0 else 1 end as doubt
    from member
    left join mobile_number on member.phone = mobile_number.e164
    where member.phone is not null
    union all
    select member.record_number, 'mobile' as field, member.mobile as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.mobile is not null
    union all
    select member.record_number, 'website' as field, member.website as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.website is not null
    union all
    select member.record_number, 'street' as field, member.street as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.street is not null
    union all
    select member.record_number, 'house_number' as field, member.house_number as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.house_number is not null
    union all
    select member.record_number, 'city' as field, member.city as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.city is not null
    union all
    select member.record_number, 'region' as field, member.region as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.region is not null
    union all
    select member.record_number, 'postal_code' as field, member.postal_code as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.postal_code is not null
    union all
    select member.record_number, 'country' as field, member.country as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.country is not null
    union all
    select member.record_number, 'industry' as field, member.industry as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.industry is not null
    union all
    select member.record_number, 'owner' as field, member.owner as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.owner is not null
    union all
    select member.record_number, 'status' as field, member.status as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.status is not null
    union all
    select member.record_number, 'lifecycle_stage' as field, member.lifecycle_stage as value, 1 as parts, cast(null as integer) as doubt
    from member
    where member.lifecycle_stage is not null
),

-- The scores that the rules compare stand in one list: where each rule's is.
policy as (
    select
        field,
        unit,
        is_completed,
        coalesce('native_script' in (rule_1, rule_2, rule_3, rule_4, rule_5, rule_6), false) as asks_script,
        list_position(score.names, rule_1) as place_1,
        list_position(score.names, rule_2) as place_2,
        list_position(score.names, rule_3) as place_3,
        list_position(score.names, rule_4) as place_4,
        list_position(score.names, rule_5) as place_5,
        list_position(score.names, rule_6) as place_6,
        rule_1, rule_2, rule_3, rule_4, rule_5, rule_6
    from meta.survivorship
    cross join (
        select [
            'verified', 'native_script', 'most_complete', 'most_frequent', 'trusted_source', 'most_recent',
            'longest_valid'
        ] as names
    ) as score
),

unit_policy as (
    select distinct unit, place_1, place_2, place_3, place_4, place_5, place_6, rule_1, rule_2, rule_3, rule_4, rule_5, rule_6
    from policy
),

-- One row per unit of fields of a record that has others beside it: what competes. content: equal where all fields are.
candidate as (
    select
        member.customer_id,
        given.record_number,
        policy.unit,
        sum(given.parts) as parts,
        coalesce(avg(given.doubt), 0) as doubt,
        max(
            case
                when policy.asks_script and regexp_matches(given.value, '[\x{0370}-\x{1dff}\x{2e80}-\x{ffdc}]') then 1
                else 0
            end
        ) as is_not_latin,
        case when any_value(member.is_deleted) then 2 else 0 end
        + max(
            case
                when member.has_junk_name and given.field in ('display_name', 'given_name', 'family_name') then 1
                else 0
            end
        ) as last_resort,
        -- not a sum of floating-point numbers, which depends on their order
        bit_xor(hash(concat(given.field, '|', lower(given.value)))) as content
    from given
    inner join member on given.record_number = member.record_number
    inner join policy on given.field = policy.field
    where member.record_count > 1
    group by member.customer_id, given.record_number, policy.unit
),

compared as (
    select
        *,
        min(content) over unit <> max(content) over unit as is_disputed
    from candidate
    window unit as (partition by customer_id, unit)
),

customer_country as (
    select customer_id, min(country) as country
    from member
    where country is not null and record_count > 1
    group by customer_id
),

-- Scores of a candidate by rule: the smaller, the better.
scored as (
    select
        candidate.customer_id,
        candidate.record_number,
        candidate.unit,
        candidate.content,
        candidate.last_resort,
        [
            cast(candidate.doubt as double),
            case
                when
                    (candidate.is_not_latin = 1)
                    = (
                        coalesce(member.country, customer_country.country, 'CN')
                        in ('BG', 'BY', 'CN', 'GR', 'HK', 'JP', 'KR', 'MO', 'RS', 'RU', 'TH', 'TW', 'UA')
                    )
                    then 0.0
                else 1.0
            end,
            cast(- candidate.parts as double),
            cast(- count(*) over (partition by candidate.customer_id, candidate.unit, candidate.content) as double),
            cast(coalesce(trust.priority, member.priority) as double),
            coalesce(- epoch(member.changed_at), 0.0),
            coalesce(epoch(min(member.created_at)
                over (partition by candidate.customer_id, candidate.unit, candidate.content)), 1e12)
        ] as score
    from compared as candidate
    inner join member on candidate.record_number = member.record_number
    left join customer_country on candidate.customer_id = customer_country.customer_id
    left join meta.survivorship_source as trust
        on candidate.unit = trust.unit and member.source_system = trust.source_system
    where candidate.is_disputed
),

ordered as (
    select
        scored.customer_id,
        scored.record_number,
        scored.unit,
        scored.content,
        scored.last_resort,
        scored.score[unit_policy.place_1] as score_1,
        scored.score[unit_policy.place_2] as score_2,
        scored.score[unit_policy.place_3] as score_3,
        scored.score[unit_policy.place_4] as score_4,
        scored.score[unit_policy.place_5] as score_5,
        scored.score[unit_policy.place_6] as score_6
    from scored
    inner join unit_policy on scored.unit = unit_policy.unit
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id, unit
            order by last_resort, score_1, score_2, score_3, score_4, score_5, score_6, record_number
        ) as place
    from ordered
),

-- The best value that differs from the winning one, and the first rule by which it is worse.
rival as (
    select
        best.customer_id,
        best.unit,
        other.last_resort,
        other.score_1, other.score_2, other.score_3, other.score_4, other.score_5, other.score_6
    from ranked as best
    inner join ranked as other on best.customer_id = other.customer_id and best.unit = other.unit
    where best.place = 1 and other.content <> best.content
    qualify row_number() over (partition by best.customer_id, best.unit order by other.place) = 1
),

verdict as (
    select
        best.customer_id,
        best.unit,
        best.record_number,
        true as is_disputed,
        case when best.last_resort >= 2 then 'no value in a record that is not deleted: ' else '' end || case
            when best.last_resort <> rival.last_resort then 'neither deleted nor junk'
            when best.score_1 <> rival.score_1 then replace(unit_policy.rule_1, '_', ' ')
            when best.score_2 <> rival.score_2 then replace(unit_policy.rule_2, '_', ' ')
            when best.score_3 <> rival.score_3 then replace(unit_policy.rule_3, '_', ' ')
            when best.score_4 <> rival.score_4 then replace(unit_policy.rule_4, '_', ' ')
            when best.score_5 <> rival.score_5 then replace(unit_policy.rule_5, '_', ' ')
            when best.score_6 <> rival.score_6 then replace(unit_policy.rule_6, '_', ' ')
            else 'first by source key'
        end as rule
    from ranked as best
    inner join unit_policy on best.unit = unit_policy.unit
    inner join rival on best.customer_id = rival.customer_id and best.unit = rival.unit
    where best.place = 1
    union all
    -- A record that is not deleted stands for those that agree.
    select
        customer_id,
        unit,
        arg_min(record_number, cast(last_resort as bigint) * 1000000000 + record_number) as record_number,
        false as is_disputed,
        case when min(last_resort) >= 2 then 'no value in a record that is not deleted: ' else '' end
        || 'all records that have a value agree' as rule
    from compared
    where not is_disputed
    group by customer_id, unit
),

won as (
    select verdict.customer_id, given.field, given.value, given.record_number, verdict.rule, verdict.is_disputed
    from verdict
    inner join policy on verdict.unit = policy.unit
    inner join given on verdict.record_number = given.record_number and policy.field = given.field
),

-- A postal code from another record is only taken where the city is known to have such codes.
completed as (
    select
        ranked.customer_id,
        given.field,
        given.value,
        given.record_number,
        concat('taken from another record, as the ', ranked.unit, ' that won has none') as rule,
        true as is_disputed
    from ranked
    inner join policy on ranked.unit = policy.unit and policy.is_completed
    inner join given on ranked.record_number = given.record_number and policy.field = given.field
    left join won on ranked.customer_id = won.customer_id and policy.field = won.field
    left join won as city on ranked.customer_id = city.customer_id and city.field = 'city'
    left join postal_area on lower(city.value) = postal_area.city and left(given.value, 3) = postal_area.area
    where
        ranked.place > 1
        and won.customer_id is null
        and (given.field <> 'postal_code' or postal_area.city is not null)
    qualify row_number() over (partition by ranked.customer_id, given.field order by ranked.place) = 1
),

contested as (
    select customer_id, field, value, record_number, rule, is_disputed from won
    union all
    select customer_id, field, value, record_number, rule, is_disputed from completed
),

lost as (
    select
        other.customer_id,
        other.field,
        list(
            concat(other.value, ' (', member.source_system, '/', member.source_object, '/', member.source_id, ')')
            order by other.place
        ) as lost_values
    from (
        select contested.customer_id, contested.field, given.value, given.record_number, ranked.place
        from contested
        inner join policy on contested.field = policy.field
        inner join ranked on contested.customer_id = ranked.customer_id and policy.unit = ranked.unit
        inner join given on ranked.record_number = given.record_number and contested.field = given.field
        where contested.is_disputed and lower(given.value) <> lower(contested.value)
        qualify row_number() over (
            partition by contested.customer_id, contested.field, lower(given.value) order by ranked.place
        ) = 1
    ) as other
    inner join member on other.record_number = member.record_number
    group by other.customer_id, other.field
),

survivor as (
    select
        member.customer_id,
        given.field,
        given.value,
        given.record_number,
        'the only record' as rule,
        cast(null as varchar[]) as lost_values
    from given
    inner join member on given.record_number = member.record_number
    where member.record_count = 1
    union all
    select
        contested.customer_id,
        contested.field,
        contested.value,
        contested.record_number,
        contested.rule,
        lost.lost_values
    from contested
    left join lost on contested.customer_id = lost.customer_id and contested.field = lost.field
),

-- The last decision on a field of a customer holds, whichever of its records the steward named.
override as (
    select
        xref.customer_id,
        -- the name that people know the field by
        case when decision.field = 'full_name' then 'display_name' else decision.field end as field,
        decision.value,
        decision.left_source_system as source_system,
        decision.left_source_object as source_object,
        decision.left_source_id as source_id,
        'steward decision ' || decision.decision_id as rule
    from meta.decision as decision
    inner join identity.customer_xref as xref
        on
            decision.left_source_system = xref.source_system
            and decision.left_source_object = xref.source_object
            and decision.left_source_id = xref.source_id
    where decision.kind = 'field_override'
    qualify row_number() over (
        partition by
            xref.customer_id, case when decision.field = 'full_name' then 'display_name' else decision.field end
        order by decision.decision_id desc
    ) = 1
)

select
    survivor.customer_id,
    survivor.field,
    survivor.value,
    member.source_system,
    member.source_object,
    member.source_id,
    survivor.rule,
    survivor.lost_values
from survivor
inner join member on survivor.record_number = member.record_number
left join override on survivor.customer_id = override.customer_id and survivor.field = override.field
where override.customer_id is null
union all
select
    override.customer_id,
    override.field,
    override.value,
    override.source_system,
    override.source_object,
    override.source_id,
    override.rule,
    case
        when survivor.value is not null
            then list_prepend(
                concat(
                    survivor.value, ' (', member.source_system, '/', member.source_object, '/', member.source_id, ')'
                ),
                coalesce(survivor.lost_values, cast([] as varchar[]))
            )
    end as lost_values
from override
left join survivor on override.customer_id = survivor.customer_id and override.field = survivor.field
left join member on survivor.record_number = member.record_number
