-- One row per party record: is there a real customer behind it?
-- Every piece of evidence adds its weight (the list `weight` below), for or against; the sum, kept between 0 and 1,
-- is the score. From 0.75 a record is a ghost, from 0.5 a suspect; below 0.25 with a sign of life (trade, pipeline,
-- activity, or a second system that knows the customer) it is real; everything else is unverified.
-- What no source records is evidence of nothing: without any orders in the warehouse nobody is blamed for having none.
-- A prospect with an open opportunity is not blamed either. A steward's decision beats all evidence.
-- source_system  stem of the source file that declares the system
-- source_object  the object of the source that the record comes from
-- source_id      the id of the record in its source
-- verdict        real, unverified, suspect or ghost
-- score          0 to 1: how much speaks for a ghost
-- reasons        the evidence for a ghost, the heaviest first, then what speaks against it, separated by '; '
with weight (evidence, weight, words) as (
    values
        ('one_time_account', 1.50, 'collective account for one-time customers'),
        ('placeholder_name', 0.60, 'the name is a placeholder'),
        ('mash_name', 0.55, 'the name is letters typed at random'),
        ('no_letters_name', 0.50, 'the name has no letters'),
        ('leftover_name', 0.50, 'the name says that the record is not to be used'),
        ('no_name', 0.30, 'no name at all'),
        ('survey_unknown', 0.35, 'asked in a survey, nobody was found or knew of the company'),
        ('numbers_in_sequence', 0.35, 'phone numbers of records by the same user follow each other closely'),
        ('created_in_bulk', 0.30, 'created in bulk by one user within minutes'),
        ('blocked', 0.30, 'blocked in its system'),
        ('deleted', 0.25, 'deleted in its system'),
        ('email_undeliverable', 0.25, 'the domain of the e-mail address cannot receive mail'),
        ('email_placeholder', 0.20, 'the e-mail address is a placeholder'),
        ('email_disposable', 0.20, 'the e-mail address is a throw-away one'),
        ('no_contact', 0.20, 'no e-mail address, phone number or street'),
        ('unreachable', 0.20, 'no e-mail address, phone number or street that works'),
        ('email_bounced', 0.15, 'mail to the address came back'),
        ('email_not_an_address', 0.10, 'the e-mail address is not one'),
        ('phone_placeholder', 0.20, 'the phone number is a placeholder'),
        ('phone_impossible', 0.10, 'the phone number does not exist'),
        ('phone_shared', 0.15, 'the phone number is that of five customers or more'),
        ('duplicate_left', 0.10, 'a duplicate left over: its system works with another record of the customer'),
        ('flagged_duplicate', 0.10, 'its own system takes it for a duplicate'),
        ('never_active', 0.15, 'no contact with the customer was ever recorded'),
        ('never_traded', 0.15, 'no order, invoice or open opportunity of the customer'),
        ('traded', -0.60, 'the customer has orders, invoices or payments'),
        ('in_pipeline', -0.30, 'the customer has an open opportunity'),
        ('second_system', -0.30, 'another system knows the customer too'),
        ('official_id', -0.25, 'a valid tax id or national id'),
        ('active', -0.20, 'contacts with the customer are recorded'),
        ('email_works', -0.10, 'a valid e-mail address that did not bounce'),
        ('phone_works', -0.10, 'a valid phone number')
),

-- What is asked below is answered here, so that no text but keys and numbers is carried along.
record as (
    select
        row_number() over (order by party.source_system, party.source_object, party.source_id) as record_number,
        party.source_system,
        party.source_object,
        party.source_id,
        coalesce(
            xref.customer_id, party.source_system || '|' || party.source_object || '|' || party.source_id
        ) as customer_id,
        party.phone,
        party.mobile,
        party.created_by,
        party.created_at,
        party.last_activity_at > party.created_at as has_activity,
        party.parent_source_id is not null as has_parent,
        party.company_key is not null as has_company,
        -- Two systems may hold the same nothing.
        coalesce(
            party.email, party.phone, party.mobile, party.street, party.tax_id, party.national_id
        ) is not null as is_tangible,
        party.is_one_time,
        party.is_flagged_duplicate,
        party.is_blocked,
        party.is_deleted and party.merged_into_source_id is null as is_gone,
        party.name_problem,
        coalesce(
            party.full_name_raw, party.given_name_raw, party.family_name_raw, party.company_name_raw
        ) is null as has_no_name,
        coalesce(
            party.full_name_raw,
            nullif(concat_ws(' ', party.given_name_raw, party.family_name_raw), ''),
            party.company_name_raw
        ) as name_raw,
        party.email_problem,
        party.email_is_disposable,
        coalesce(cast(party.email_bounced_at as varchar), party.email_bounce_reason) is not null as email_bounced,
        party.email is not null and coalesce(cast(party.email_bounced_at as varchar), party.email_bounce_reason) is null
        and not coalesce(party.email_is_disposable, false) as email_works,
        coalesce(party.phone, party.mobile) is not null as phone_works,
        coalesce(party.phone_problem, '') as phone_problem,
        coalesce(party.mobile_problem, '') as mobile_problem,
        party.street is not null as has_street,
        coalesce(party.email_raw, party.phone_raw, party.mobile_raw, party.street_raw) is null as has_no_contact,
        party.tax_id is not null or party.national_id is not null as has_official_id
    from core.party as party
    left join identity.customer_xref as xref
        on
            party.source_system = xref.source_system
            and party.source_object = xref.source_object
            and party.source_id = xref.source_id
),

-- What a record is named by, whether or not the naming record says in which object.
event as (
    select source_system, party_source_object, party_source_id, 'trade' as kind
    from core.sales_order
    where not is_cancelled
    union all
    select source_system, party_source_object, party_source_id, 'trade' as kind
    from core.invoice
    where not is_cancelled
    union all
    select source_system, party_source_object, party_source_id, 'trade' as kind
    from core.payment
    union all
    select source_system, party_source_object, party_source_id, 'pipeline' as kind
    from core.opportunity
    where not coalesce(is_closed, coalesce(is_won, false)) and not is_deleted
    union all
    select source_system, party_source_object, party_source_id, 'activity' as kind
    from core.interaction
    where not is_deleted
    union all
    select source_system, party_source_object, party_source_id, 'activity' as kind
    from core.ticket
    union all
    select
        source_system,
        party_source_object,
        party_source_id,
        case
            when regexp_matches(lower(comment), 'wrong (person|number|address|company)|no such (person|customer|company)')
                or regexp_matches(lower(comment), 'unknown (person|recipient|customer|at this)|^unknown\W*$|never heard of')
                or regexp_matches(lower(comment), 'returned to sender|does not exist|empfänger unbekannt|unbekannt verzogen')
                or regexp_matches(comment, '查无此人|没有此人|不认识|空号|号码不存在|打错电话|公司不存在')
                then 'unknown'
            else 'activity'
        end as kind
    from core.survey_response
    union all
    select source_system, party_source_object, party_source_id, 'activity' as kind
    from core.loyalty_event
    union all
    select source_system, party_source_object, party_source_id, 'activity' as kind
    from core.opportunity
    where is_closed and not is_deleted
),

named as (
    select distinct source_system, party_source_object, party_source_id, kind
    from event
    where party_source_id is not null
),

life as (
    select record.customer_id, named.kind
    from named
    inner join record
        on named.source_system = record.source_system and named.party_source_id = record.source_id
    where named.party_source_object is null or named.party_source_object = record.source_object
    union all
    select customer_id, 'activity' as kind
    from record
    where has_activity
),

customer as (
    select
        record.customer_id,
        count(distinct record.source_system) as systems,
        min(case when record.is_tangible then record.source_system end) as first_system,
        max(case when record.is_tangible then record.source_system end) as last_system,
        max(case when life.kind = 'trade' then 1 else 0 end) as traded,
        max(case when life.kind = 'pipeline' then 1 else 0 end) as in_pipeline,
        max(case when life.kind = 'activity' then 1 else 0 end) as active,
        max(case when life.kind = 'unknown' then 1 else 0 end) as is_unknown
    from record
    left join (select distinct customer_id, kind from life) as life on record.customer_id = life.customer_id
    group by record.customer_id
),

-- Absence speaks only where presence is recorded.
known as (
    select
        coalesce(max(case when kind = 'trade' then 1 else 0 end), 0) as trade,
        coalesce(max(case when kind = 'activity' then 1 else 0 end), 0) as activity
    from life
),

number_use as (
    select number, count(distinct customer_id) as customers
    from (
        select phone as number, customer_id
        from record
        where phone is not null
        union all
        select mobile as number, customer_id
        from record
        where mobile is not null
    ) as used
    group by number
    having count(distinct customer_id) >= 5
),

burst as (
    select
        record_number,
        source_system,
        created_by,
        count(*) over (
            partition by source_system, created_by
            order by created_at
            range between interval 5 minutes preceding and interval 5 minutes following
        ) as neighbours,
        count(*) over (partition by source_system) as of_system
    from record
    -- A time of midnight is a day: a day's work is no burst.
    where created_by is not null and created_at is not null and created_at <> date_trunc('day', created_at)
),

-- When a large part of a system was loaded at once, that was its migration and says nothing about a record.
bulk as (
    select record_number
    from (
        select *, count(*) over (partition by source_system, created_by) as of_user
        from burst
        where neighbours >= 10
    ) as crowded
    where of_user * 5 < of_system
),

numbered as (
    select
        record_number,
        source_system,
        created_by,
        cast(substr(coalesce(mobile, phone), 2) as bigint) as number
    from record
    -- Colleagues have neighbouring extensions.
    where coalesce(mobile, phone) is not null and created_by is not null and not has_parent
),

-- Two neighbouring numbers are a couple's; three by one user are a list that somebody filled.
run_of_numbers as (
    select source_system, created_by, number
    from (
        select
            *,
            count(*) over (
                partition by source_system, created_by
                order by number
                range between 20 preceding and 20 following
            ) as neighbours
        from (select distinct source_system, created_by, number from numbered) as used
    ) as counted
    where neighbours >= 3
),

sequence as (
    select numbered.record_number
    from numbered
    inner join run_of_numbers
        on
            numbered.source_system = run_of_numbers.source_system
            and numbered.created_by = run_of_numbers.created_by
            and numbered.number = run_of_numbers.number
),

-- Records that something was recorded for, themselves and not only through their customer.
in_use as (
    select distinct record.record_number, record.source_system, record.source_object, record.customer_id
    from named
    inner join record
        on named.source_system = record.source_system and named.party_source_id = record.source_id
    where
        (named.party_source_object is null or named.party_source_object = record.source_object)
        and named.kind <> 'unknown'
),

left_over as (
    select record.record_number
    from record
    inner join (select distinct source_system, source_object, customer_id from in_use) as used
        on
            record.source_system = used.source_system
            and record.source_object = used.source_object
            and record.customer_id = used.customer_id
    left join in_use as own on record.record_number = own.record_number
    where own.record_number is null
),

fact as (
    select
        record.* exclude (customer_id, phone, mobile, created_by, created_at, name_raw),
        regexp_matches(lower(record.name_raw), '\b(do ?n.?t|do not|never) use\b|\b(to be|please) deleted?\b|\bdelete me\b')
        or regexp_matches(
            lower(record.name_raw), '^(old\W+)?(closed|deleted|inactive|obsolete|duplicate)\W*$|\bnicht (mehr )?verwenden\b'
        )
        or regexp_matches(record.name_raw, '请勿使用|不要使用|勿用|待删除|已删除|作废|停用|废弃') as is_leftover_name,
        customer.systems,
        coalesce(
            record.source_system not in (customer.first_system, customer.last_system)
            or customer.first_system <> customer.last_system, false
        ) as is_known_elsewhere,
        customer.traded,
        customer.in_pipeline,
        customer.active,
        customer.is_unknown,
        left_over.record_number is not null as is_left_over,
        known.trade as trade_is_known,
        known.activity as activity_is_known,
        phone_use.number is not null and not record.has_parent and not record.has_company as phone_is_shared,
        mobile_use.number is not null as mobile_is_shared,
        bulk.record_number is not null as is_bulk,
        sequence.record_number is not null as is_in_sequence
    from record
    inner join customer on record.customer_id = customer.customer_id
    cross join known
    left join number_use as phone_use on record.phone = phone_use.number
    left join number_use as mobile_use on record.mobile = mobile_use.number
    left join bulk on record.record_number = bulk.record_number
    left join sequence on record.record_number = sequence.record_number
    left join left_over on record.record_number = left_over.record_number
),

found as (
    select record_number, 'one_time_account' as evidence from fact where is_one_time
    union all
    select record_number, 'placeholder_name' from fact where name_problem = 'placeholder'
    union all
    select record_number, 'mash_name' from fact where name_problem = 'keyboard mash'
    union all
    select record_number, 'no_letters_name' from fact where name_problem = 'no letters'
    union all
    -- A record that lends a birth date or a country to one of the same customer needs no name of its own.
    select record_number, 'no_name' from fact where has_no_name and systems = 1
    union all
    select record_number, 'leftover_name' from fact
    where coalesce(name_problem, '') <> 'placeholder' and is_leftover_name
    union all
    select record_number, 'survey_unknown' from fact where is_unknown = 1
    union all
    select record_number, 'duplicate_left' from fact where is_left_over
    union all
    select record_number, 'flagged_duplicate' from fact where is_flagged_duplicate
    union all
    select record_number, 'numbers_in_sequence' from fact where is_in_sequence
    union all
    select record_number, 'created_in_bulk' from fact where is_bulk
    union all
    select record_number, 'blocked' from fact where is_blocked
    union all
    select record_number, 'deleted' from fact where is_gone
    union all
    select record_number, 'email_undeliverable' from fact
    where email_problem = 'domain cannot receive mail'
    union all
    select record_number, 'email_placeholder' from fact where email_problem = 'placeholder'
    union all
    select record_number, 'email_not_an_address' from fact where email_problem = 'syntax'
    union all
    select record_number, 'email_disposable' from fact where email_is_disposable
    union all
    select record_number, 'email_bounced' from fact where email_bounced
    union all
    select record_number, 'no_contact' from fact where has_no_contact and systems = 1
    union all
    select record_number, 'unreachable' from fact
    where not has_no_contact and not email_works and not phone_works and not has_street
    union all
    select record_number, 'phone_placeholder' from fact
    where phone_problem = 'placeholder' or mobile_problem = 'placeholder'
    union all
    select record_number, 'phone_impossible' from fact
    where
        (phone_problem <> '' or mobile_problem <> '') and not phone_works
        and phone_problem <> 'placeholder' and mobile_problem <> 'placeholder'
    union all
    select record_number, 'phone_shared' from fact where phone_is_shared or mobile_is_shared
    union all
    select record_number, 'never_active' from fact where active = 0 and activity_is_known = 1
    union all
    select record_number, 'never_traded' from fact
    where traded = 0 and in_pipeline = 0 and trade_is_known = 1
    union all
    select record_number, 'traded' from fact where traded = 1
    union all
    select record_number, 'in_pipeline' from fact where in_pipeline = 1
    union all
    select record_number, 'second_system' from fact where is_known_elsewhere
    union all
    select record_number, 'official_id' from fact where has_official_id
    union all
    select record_number, 'active' from fact where active = 1
    union all
    select record_number, 'email_works' from fact where email_works
    union all
    select record_number, 'phone_works' from fact where phone_works and not is_in_sequence
),

scored as (
    select
        found.record_number,
        cast(least(greatest(sum(weight.weight), 0), 1) as double) as score,
        string_agg(weight.words, '; ' order by weight.weight desc, weight.words) as reasons
    from found
    inner join weight on found.evidence = weight.evidence
    group by found.record_number
),

decided as (
    select left_source_system, left_source_object, left_source_id, decision_id, kind
    from meta.decision
    where kind in ('ghost', 'not_ghost')
    qualify row_number() over (
        partition by left_source_system, left_source_object, left_source_id
        order by decision_id desc
    ) = 1
)

select
    fact.source_system,
    fact.source_object,
    fact.source_id,
    case
        when decided.kind = 'ghost' then 'ghost'
        when decided.kind = 'not_ghost' then 'real'
        when scored.score >= 0.75 then 'ghost'
        when scored.score >= 0.5 then 'suspect'
        when
            coalesce(scored.score, 0) < 0.25
            and (fact.traded = 1 or fact.in_pipeline = 1 or fact.active = 1 or fact.is_known_elsewhere)
            then 'real'
        else 'unverified'
    end as verdict,
    case decided.kind when 'ghost' then 1 when 'not_ghost' then 0 else coalesce(scored.score, 0) end as score,
    case
        when decided.kind is not null then 'steward decision ' || cast(decided.decision_id as varchar)
        else coalesce(scored.reasons, 'no evidence either way')
    end as reasons
from fact
left join scored on fact.record_number = scored.record_number
left join decided
    on
        fact.source_system = decided.left_source_system
        and fact.source_object = decided.left_source_object
        and fact.source_id = decided.left_source_id
