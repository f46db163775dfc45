-- Every record that belongs to a customer, over all systems: one row per opportunity, interaction, ticket and so on, deleted and
-- cancelled ones included. It follows its party record, so that a merge and an unmerge move it along. Join it with the table
-- core.<child> by the source key for all that the record says.
-- customer_id     the customer
-- child           opportunity, interaction, ticket, survey_response, loyalty_event, referral (who referred), referred (who was),
--                 campaign_response, sales_order, invoice or payment
-- source_system   system of the record
-- source_object   object of the record
-- source_id       id of the record
-- happened_at     when it was opened, held, placed, answered ...
-- is_void         deleted or cancelled in its source
-- what            name, subject, campaign or comment
-- channel         call, email, meeting, visit, chat, web, sms or post; what the source says where it is none of them
-- status          status; won, lost or open for an opportunity, the kind of a survey or loyalty event, the method of a payment
-- amount          amount, score of a survey, or points
-- currency        currency of the amount; empty for scores and points
-- owner           who looks after it
with reference as (
    -- An id stands for the record of the named object; where none is named, for the first object that has it.
    select
        customer_id,
        source_system,
        source_object,
        source_id
    from golden.customer_xref
    union all
    select
        arg_min(customer_id, source_object) as customer_id,
        source_system,
        '' as source_object,
        source_id
    from golden.customer_xref
    group by source_system, source_id
),

record as (
    select
        'opportunity' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        coalesce(created_at, cast(close_date as timestamp)) as happened_at, is_deleted as is_void,
        name as what, cast(null as varchar) as channel, case when is_won then 'won' when is_closed then 'lost' else 'open' end as status,
        amount as amount, currency as currency, owner as owner
    from core.opportunity
    union all
    select
        'interaction' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        happened_at as happened_at, is_deleted as is_void,
        subject as what, channel as channel, status as status,
        cast(null as decimal(18, 4)) as amount, cast(null as varchar) as currency, owner as owner
    from core.interaction
    union all
    select
        'ticket' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        opened_at as happened_at, false as is_void,
        subject as what, channel as channel, case when closed_at is null then 'open' else 'closed' end as status,
        cast(null as decimal(18, 4)) as amount, cast(null as varchar) as currency, owner as owner
    from core.ticket
    union all
    select
        'survey_response' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        responded_at as happened_at, false as is_void,
        comment as what, cast(null as varchar) as channel, kind as status,
        score as amount, cast(null as varchar) as currency, cast(null as varchar) as owner
    from core.survey_response
    union all
    select
        'loyalty_event' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        happened_at as happened_at, false as is_void,
        cast(null as varchar) as what, cast(null as varchar) as channel, lower(kind) as status,
        points as amount, cast(null as varchar) as currency, cast(null as varchar) as owner
    from core.loyalty_event
    union all
    select
        'referral' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        referred_at as happened_at, false as is_void,
        cast(null as varchar) as what, cast(null as varchar) as channel, status as status,
        cast(null as decimal(18, 4)) as amount, cast(null as varchar) as currency, cast(null as varchar) as owner
    from core.referral
    union all
    select
        'referred' as child, source_system, source_object, source_id,
        cast(null as varchar) as party_source_object, referred_source_id as party_source_id,
        referred_at as happened_at, false as is_void,
        cast(null as varchar) as what, cast(null as varchar) as channel, status as status,
        cast(null as decimal(18, 4)) as amount, cast(null as varchar) as currency, cast(null as varchar) as owner
    from core.referral
    where referred_source_id is not null
    union all
    select
        'campaign_response' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        responded_at as happened_at, false as is_void,
        campaign as what, channel as channel, response as status,
        cast(null as decimal(18, 4)) as amount, cast(null as varchar) as currency, cast(null as varchar) as owner
    from core.campaign_response
    union all
    select
        'sales_order' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        cast(ordered_on as timestamp) as happened_at, is_cancelled as is_void,
        cast(null as varchar) as what, cast(null as varchar) as channel, status as status,
        amount as amount, currency as currency, owner as owner
    from core.sales_order
    union all
    select
        'invoice' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        cast(invoiced_on as timestamp) as happened_at, is_cancelled as is_void,
        cast(null as varchar) as what, cast(null as varchar) as channel, status as status,
        amount as amount, currency as currency, cast(null as varchar) as owner
    from core.invoice
    union all
    select
        'payment' as child, source_system, source_object, source_id,
        party_source_object as party_source_object, party_source_id as party_source_id,
        cast(paid_on as timestamp) as happened_at, false as is_void,
        cast(null as varchar) as what, cast(null as varchar) as channel, method as status,
        amount as amount, currency as currency, cast(null as varchar) as owner
    from core.payment
)

select
    reference.customer_id,
    record.child,
    record.source_system,
    record.source_object,
    record.source_id,
    record.happened_at,
    coalesce(record.is_void, false) as is_void,
    record.what,
    case
        when lower(record.channel) in ('call', 'phone', '电话', 'telefon') then 'call'
        when lower(record.channel) in ('email', 'e-mail', 'mail', '邮件', '邮箱') then 'email'
        when lower(record.channel) in ('meeting', '会议', 'besprechung') then 'meeting'
        when lower(record.channel) in ('visit', '拜访', '上门', 'besuch') then 'visit'
        when lower(record.channel) in ('chat', 'wechat', '微信', 'whatsapp', '企业微信') then 'chat'
        when lower(record.channel) in ('web', 'website', '网站', '官网') then 'web'
        when lower(record.channel) in ('sms', '短信') then 'sms'
        when lower(record.channel) in ('post', 'letter', '信件', 'brief') then 'post'
        else lower(record.channel)
    end as channel,
    record.status,
    record.amount,
    record.currency,
    record.owner
from record
inner join reference
    on
        record.source_system = reference.source_system
        and coalesce(record.party_source_object, '') = reference.source_object
        and record.party_source_id = reference.source_id
