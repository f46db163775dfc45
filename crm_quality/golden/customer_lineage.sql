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
with record as (
    -- Until the end numbers stand for the keys of records and customers, which are long. is_alone: no other competes.
    select
        xref.customer_id,
        xref.record_number,
        xref.source_system,
        xref.source_object,
        xref.source_id,
        ghost.verdict is not null as is_ghost,
        min(xref.record_number) over customer as customer_number,
        count(case when ghost.verdict is null then 1 end) over customer = 1 as is_alone
    from identity.customer_xref as xref
    left join quality.ghost_verdict as ghost
        on
            xref.source_system = ghost.source_system
            and xref.source_object = ghost.source_object
            and xref.source_id = ghost.source_id
            and ghost.verdict = 'ghost'
    window customer as (partition by xref.customer_id)
),

member as (
    select
        record.record_number,
        record.customer_number,
        record.is_ghost,
        record.source_system,
        party.party_type,
        lower(party.given_name) as given_name,
        lower(party.family_name) as family_name,
        replace(party.given_key, ' ', '') as given_key,
        replace(party.family_key, ' ', '') as family_key,
        split_part(party.email, '@', 1) as local_part,
        lower(party.city) as city,
        party.country,
        case when party.company_legal_form is null then 1 else 2 end as company_parts,
        coalesce(cast(party.email_bounced_at as varchar), party.email_bounce_reason) is not null as has_bounced,
        -- a date that lies in the future says nothing about which value is newer
        case
            when cast(coalesce(party.modified_at, party.created_at) as date) <= party.extract_date
                then coalesce(party.modified_at, party.created_at)
        end as changed_at,
        case when cast(party.created_at as date) <= party.extract_date then party.created_at end as created_at
    from record
    inner join core.party as party
        on
            record.source_system = party.source_system
            and record.source_object = party.source_object
            and record.source_id = party.source_id
),

-- The scores that the rules compare stand in one list: where each rule's is.
policy as (
    select
        field,
        unit,
        is_completed,
        cast(dense_rank() over (order by unit) as integer) as unit_number,
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

-- The name parts of an organisation are those of a person to ask for.
filled as (
    select
        record.record_number,
        record.customer_number,
        record.customer_id,
        record.source_system,
        record.source_object,
        record.source_id,
        record.is_alone,
        coalesce(party.is_deleted, false) as is_deleted,
        party.name_problem is not null as has_junk_name,
        party.party_type,
        case
            when party.party_type = 'organisation' then coalesce(party.company_name, party.full_name)
            else party.full_name
        end as display_name,
        case when party.party_type = 'person' then party.given_name end as given_name,
        case when party.party_type = 'person' then party.family_name end as family_name,
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
        party.lifecycle_stage
    from record
    inner join core.party as party
        on
            record.source_system = party.source_system
            and record.source_object = party.source_object
            and record.source_id = party.source_id
    where not record.is_ghost
),

-- Computed twice, for what stands alone goes straight through and need not be kept.
record_field as not materialized (
    select *
    from filled
    unpivot (
        value for field in (
            party_type, display_name, given_name, family_name, company_name, birth_date, gender, tax_id, national_id,
            account_number, email, phone, mobile, website, street, house_number, city, region, postal_code, country,
            industry, owner, status, lifecycle_stage
        )
    )
),

-- What has other records beside it. last_resort: how much speaks against a value from the start.
given as (
    select
        record_field.record_number,
        record_field.customer_number,
        case when record_field.is_deleted then 2 else 0 end
        + case
            when record_field.has_junk_name and policy.field in ('display_name', 'given_name', 'family_name') then 1
            else 0
        end as last_resort,
        policy.unit_number,
        policy.field,
        record_field.value
    from record_field
    inner join policy on record_field.field = policy.field
    where not record_field.is_alone
),

unit_policy as (
    select distinct
        unit, unit_number, place_1, place_2, place_3, place_4, place_5, place_6,
        rule_1, rule_2, rule_3, rule_4, rule_5, rule_6
    from policy
),

-- What competes: a unit of fields of a record. content: equal where all fields are.
candidate as (
    select
        record_number,
        unit_number,
        min(customer_number) as customer_number,
        max(last_resort) as last_resort,
        bit_xor(hash(field, lower(value))) as content
    from given
    group by record_number, unit_number
),

-- Where all records that fill a unit agree, one that is not deleted stands for them.
contest as (
    select
        customer_number,
        unit_number,
        min(content) <> max(content) as is_disputed,
        min(cast(last_resort as bigint) * 1000000000 + record_number) % 1000000000 as record_number
    from candidate
    group by customer_number, unit_number
),

-- Units as bits of a number: those in which a record stands for all that agree, and those over which a customer's differ.
settled as (
    select record_number, bit_or(1 << unit_number) as units
    from contest
    where not is_disputed
    group by record_number
),

disputed as (
    select customer_number, bit_or(1 << unit_number) as units
    from contest
    where is_disputed
    group by customer_number
),

rival as (
    select candidate.*
    from candidate
    inner join disputed on candidate.customer_number = disputed.customer_number
    where disputed.units & (1 << candidate.unit_number) <> 0
),

-- All that the rules have to look at.
rival_field as (
    select given.customer_number, given.unit_number, given.record_number, given.field, given.value
    from given
    inner join disputed on given.customer_number = disputed.customer_number
    where disputed.units & (1 << given.unit_number) <> 0
),

-- Name parts that more than one customer bears: a slip of the keyboard has none to share it with.
borne_name as (
    select field, name
    from (
        select 'given_name' as field, given_name as name, customer_number from member
        union all
        select 'family_name' as field, family_name as name, customer_number from member
    ) as part
    where name is not null
    group by field, name
    having min(customer_number) <> max(customer_number)
),

-- E-mail addresses that spell their owner's name, or begin as those of others do (office@): no slip of the keyboard.
rival_email as (
    select customer_number, value as email, split_part(value, '@', 1) as local_part
    from rival_field
    where field = 'email'
),

sound_email as (
    select address.customer_number, address.email
    from rival_email as address
    inner join member as named on address.customer_number = named.customer_number
    where
        regexp_replace(address.local_part, '[^a-z]', '', 'g') in (
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
    select address.customer_number, address.email
    from rival_email as address
    inner join (
        select local_part
        from member
        where local_part is not null
        group by local_part
        having min(customer_number) <> max(customer_number)
    ) as shared on address.local_part = shared.local_part
),

-- doubt: what speaks against the values of a record.
weighed as (
    select
        rival_field.record_number,
        rival_field.unit_number,
        sum(
            case
                when rival_field.field = 'company_name' then member.company_parts
                when rival_field.field = 'display_name' and member.party_type = 'organisation' then member.company_parts
                else 1
            end
        ) as parts,
        coalesce(avg(
            case
                when rival_field.field in ('given_name', 'family_name')
                    then case when borne_name.name is null then 1 else 0 end
                when rival_field.field = 'email'
                    then case when member.has_bounced then 2 else 0 end + case when sound_email.email is null then 1 else 0 end
                when rival_field.field = 'phone' then case when mobile_number.phone is null then 0 else 1 end
            end
        ), 0) as doubt,
        max(case when regexp_matches(rival_field.value, '[\x{0370}-\x{1dff}\x{2e80}-\x{ffdc}]') then 1 else 0 end)
            as is_not_latin
    from rival_field
    inner join member on rival_field.record_number = member.record_number
    left join borne_name on rival_field.field = borne_name.field and lower(rival_field.value) = borne_name.name
    left join sound_email
        on rival_field.customer_number = sound_email.customer_number and rival_field.value = sound_email.email
    left join (select distinct e164 as phone from standard.phone where kind = 'mobile') as mobile_number
        on rival_field.value = mobile_number.phone
    group by rival_field.record_number, rival_field.unit_number
),

customer_country as (
    select customer_number, min(country) as country
    from member
    where not is_ghost
    group by customer_number
),

-- Scores of a candidate by rule: the smaller, the better.
scored as (
    select
        rival.customer_number,
        rival.record_number,
        rival.unit_number,
        rival.content,
        rival.last_resort,
        [
            cast(weighed.doubt as double),
            case
                when
                    (weighed.is_not_latin = 1)
                    = (
                        coalesce(member.country, customer_country.country, 'CN')
                        in ('BG', 'BY', 'CN', 'GR', 'HK', 'JP', 'KR', 'MO', 'RS', 'RU', 'TH', 'TW', 'UA')
                    )
                    then 0.0
                else 1.0
            end,
            cast(- weighed.parts as double),
            cast(- count(*) over agreeing as double),
            cast(coalesce(trust.priority, source.priority, 2147483647) as double),
            coalesce(- epoch(member.changed_at), 0.0),
            coalesce(epoch(min(member.created_at) over agreeing), 1e12)
        ] as score
    from rival
    inner join weighed on rival.record_number = weighed.record_number and rival.unit_number = weighed.unit_number
    inner join unit_policy on rival.unit_number = unit_policy.unit_number
    inner join member on rival.record_number = member.record_number
    inner join customer_country on rival.customer_number = customer_country.customer_number
    left join meta.source as source on member.source_system = source.source_system
    left join meta.survivorship_source as trust
        on unit_policy.unit = trust.unit and member.source_system = trust.source_system
    window agreeing as (partition by rival.customer_number, rival.unit_number, rival.content)
),

ordered as (
    select
        scored.customer_number,
        scored.record_number,
        scored.unit_number,
        scored.content,
        scored.last_resort,
        scored.score[unit_policy.place_1] as score_1,
        scored.score[unit_policy.place_2] as score_2,
        scored.score[unit_policy.place_3] as score_3,
        scored.score[unit_policy.place_4] as score_4,
        scored.score[unit_policy.place_5] as score_5,
        scored.score[unit_policy.place_6] as score_6
    from scored
    inner join unit_policy on scored.unit_number = unit_policy.unit_number
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_number, unit_number
            order by last_resort, score_1, score_2, score_3, score_4, score_5, score_6, record_number
        ) as place
    from ordered
),

-- The best value that differs from the winning one: the first rule by which it is worse decided.
runner_up as (
    select other.customer_number, other.unit_number, min(other.place) as place
    from ranked as best
    inner join ranked as other on best.customer_number = other.customer_number and best.unit_number = other.unit_number
    where best.place = 1 and other.content <> best.content
    group by other.customer_number, other.unit_number
),

verdict as (
    select
        best.customer_number,
        best.unit_number,
        best.record_number,
        case when best.last_resort >= 2 then 'no value in a record that is not deleted: ' else '' end || case
            when best.last_resort <> second.last_resort then 'neither deleted nor junk'
            when best.score_1 <> second.score_1 then replace(unit_policy.rule_1, '_', ' ')
            when best.score_2 <> second.score_2 then replace(unit_policy.rule_2, '_', ' ')
            when best.score_3 <> second.score_3 then replace(unit_policy.rule_3, '_', ' ')
            when best.score_4 <> second.score_4 then replace(unit_policy.rule_4, '_', ' ')
            when best.score_5 <> second.score_5 then replace(unit_policy.rule_5, '_', ' ')
            when best.score_6 <> second.score_6 then replace(unit_policy.rule_6, '_', ' ')
            else 'first by source key'
        end as rule
    from ranked as best
    inner join runner_up on best.customer_number = runner_up.customer_number and best.unit_number = runner_up.unit_number
    inner join ranked as second
        on
            runner_up.customer_number = second.customer_number
            and runner_up.unit_number = second.unit_number
            and runner_up.place = second.place
    inner join unit_policy on best.unit_number = unit_policy.unit_number
    where best.place = 1
),

placed as (
    select
        rival_field.customer_number,
        rival_field.record_number,
        rival_field.unit_number,
        rival_field.field,
        rival_field.value,
        ranked.place
    from rival_field
    inner join ranked
        on rival_field.record_number = ranked.record_number and rival_field.unit_number = ranked.unit_number
),

-- Where postal codes with which beginning are known to lie.
postal_area as (
    select distinct lower(city) as city, left(postal_code, 3) as area
    from core.party
    where city is not null and postal_code is not null
),

winning_city as (
    select winner.customer_number, 'postal_code' as field, member.city
    from (
        select customer_number, unit_number, record_number from verdict
        union all
        select customer_number, unit_number, record_number from contest where not is_disputed
    ) as winner
    inner join policy on winner.unit_number = policy.unit_number and policy.field = 'city'
    inner join member on winner.record_number = member.record_number
),

-- A field that the winning record lacks is taken from the next best that has it where the policy says so, a postal code
-- only where the city is known to have such codes.
won as (
    select
        placed.customer_number,
        placed.field,
        min(placed.unit_number) as unit_number,
        min(placed.place) as place,
        arg_min(placed.value, placed.place) as value,
        arg_min(placed.record_number, placed.place) as record_number
    from placed
    inner join policy on placed.field = policy.field
    left join winning_city as city on placed.customer_number = city.customer_number and placed.field = city.field
    left join postal_area on city.city = postal_area.city and left(placed.value, 3) = postal_area.area
    where
        -- alone first: needs no join, and leaves few postal codes to look up
        (placed.place = 1 or policy.is_completed)
        and (placed.place = 1 or placed.field <> 'postal_code' or postal_area.city is not null)
    group by placed.customer_number, placed.field
),

winner as (
    select
        won.customer_number,
        won.record_number,
        won.field,
        won.value,
        case
            when won.place = 1 then verdict.rule
            else concat('taken from another record, as the ', unit_policy.unit, ' that won has none')
        end as rule
    from won
    inner join verdict on won.customer_number = verdict.customer_number and won.unit_number = verdict.unit_number
    inner join unit_policy on won.unit_number = unit_policy.unit_number
),

loser as (
    select
        winner.customer_number,
        winner.field,
        min(placed.place) as place,
        arg_min(placed.value, placed.place) as value,
        arg_min(placed.record_number, placed.place) as record_number
    from winner
    inner join placed on winner.customer_number = placed.customer_number and winner.field = placed.field
    where lower(placed.value) <> lower(winner.value)
    group by winner.customer_number, winner.field, lower(placed.value)
),

lost as (
    select
        loser.customer_number,
        loser.field,
        list_sort(list(struct_pack(
            place := loser.place,
            value := concat(loser.value, ' (', record.source_system, '/', record.source_object, '/', record.source_id, ')')
        ))) as lost_values
    from loser
    inner join record on loser.record_number = record.record_number
    group by loser.customer_number, loser.field
),

survivor as (
    select
        record_field.customer_id,
        record_field.field,
        record_field.value,
        record_field.source_system,
        record_field.source_object,
        record_field.source_id,
        'the only record' as rule,
        cast(null as varchar[]) as lost_values
    from record_field
    where record_field.is_alone
    union all
    select
        record.customer_id,
        given.field,
        given.value,
        record.source_system,
        record.source_object,
        record.source_id,
        case
            when given.last_resort >= 2
                then 'no value in a record that is not deleted: all records that have a value agree'
            else 'all records that have a value agree'
        end as rule,
        cast(null as varchar[]) as lost_values
    from given
    inner join settled on given.record_number = settled.record_number
    inner join record on given.record_number = record.record_number
    where settled.units & (1 << given.unit_number) <> 0
    union all
    select
        record.customer_id,
        winner.field,
        winner.value,
        record.source_system,
        record.source_object,
        record.source_id,
        winner.rule,
        list_transform(lost.lost_values, other -> other.value) as lost_values
    from winner
    inner join record on winner.record_number = record.record_number
    left join lost on winner.customer_number = lost.customer_number and winner.field = lost.field
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
    coalesce(override.customer_id, survivor.customer_id) as customer_id,
    coalesce(override.field, survivor.field) as field,
    case when override.field is null then survivor.value else override.value end as value,
    coalesce(override.source_system, survivor.source_system) as source_system,
    coalesce(override.source_object, survivor.source_object) as source_object,
    coalesce(override.source_id, survivor.source_id) as source_id,
    coalesce(override.rule, survivor.rule) as rule,
    case
        when override.field is null then survivor.lost_values
        when survivor.value is not null
            then list_prepend(
                concat(
                    survivor.value, ' (', survivor.source_system, '/', survivor.source_object, '/', survivor.source_id, ')'
                ),
                coalesce(survivor.lost_values, cast([] as varchar[]))
            )
    end as lost_values
from survivor
full join override on survivor.customer_id = override.customer_id and survivor.field = override.field
