-- How satisfied customers are, by customer and by team, from what they answered in the 365 days before. A team is the owner of
-- the ticket an answer is about, else whoever looks after the customer's record. NPS = 100 * (promoters - detractors) /
-- answers, where promoters give 9 or 10 and detractors 6 or less (Reichheld, Harvard Business Review, December 2003).
-- scope             customer or team
-- customer_id       the customer, where the scope is customer
-- source_system     system of the team, where the scope is team
-- owner             the team or agent, where the scope is team
-- as_of_date        day of the extract
-- csat              mean CSAT, from 1 to 5; null without an answer
-- csat_answers      how many that are
-- nps               net promoter score, from -100 to 100; null without an answer
-- nps_answers       how many that are
-- promoters         answers of 9 or 10
-- detractors        answers of 6 or less
-- last_answered_on  day of the last answer
-- complaints        tickets of these days whose category says so
-- open_complaints   those of them that still wait
with party as (
    -- An id without an object stands for the record of the first object that has it.
    select source_system, source_object, source_id, owner
    from core.party
    union all
    select source_system, '' as source_object, source_id, arg_min(owner, source_object) as owner
    from core.party
    group by source_system, source_id
),

answer as (
    select
        child.customer_id,
        answer.source_system,
        coalesce(ticket.owner, party.owner, '') as owner,
        upper(answer.kind) as kind,
        answer.score,
        cast(answer.responded_at as date) as answered_on
    from core.survey_response as answer
    cross join meta.current_run as run
    left join golden.customer_child as child
        on
            child.child = 'survey_response'
            and answer.source_system = child.source_system
            and answer.source_object = child.source_object
            and answer.source_id = child.source_id
    left join core.ticket as ticket
        on answer.source_system = ticket.source_system and answer.ticket_source_id = ticket.source_id
    left join party
        on
            answer.source_system = party.source_system
            and coalesce(answer.party_source_object, '') = party.source_object
            and answer.party_source_id = party.source_id
    where
        answer.score is not null
        and cast(answer.responded_at as date) > run.extract_date - 365
        and cast(answer.responded_at as date) <= run.extract_date
),

complaint as (
    select child.customer_id, finding.source_system, coalesce(finding.owner, '') as owner, finding.waits
    from quality.service_finding as finding
    left join golden.customer_child as child
        on
            child.child = 'ticket'
            and finding.source_system = child.source_system
            and finding.source_object = child.source_object
            and finding.source_id = child.source_id
    where finding.kind = 'complaint'
),

said as (
    select
        customer_id, source_system, owner, answered_on,
        case when kind = 'CSAT' then score end as csat,
        case when kind = 'NPS' then score end as nps,
        0 as complaints,
        0 as open_complaints
    from answer
    union all
    select
        customer_id, source_system, owner, null as answered_on, null as csat, null as nps,
        1 as complaints,
        case when waits then 1 else 0 end as open_complaints
    from complaint
),

scoped as (
    select 'customer' as scope, customer_id, cast(null as varchar) as source_system, cast(null as varchar) as owner, answered_on, csat, nps, complaints, open_complaints
    from said
    where customer_id is not null
    union all
    select 'team' as scope, cast(null as varchar) as customer_id, source_system, owner, answered_on, csat, nps, complaints, open_complaints
    from said
)

select
    scoped.scope,
    scoped.customer_id,
    scoped.source_system,
    scoped.owner,
    run.extract_date as as_of_date,
    avg(scoped.csat) as csat,
    count(scoped.csat) as csat_answers,
    100.0 * (count(*) filter (where scoped.nps >= 9) - count(*) filter (where scoped.nps <= 6)) / nullif(count(scoped.nps), 0) as nps,
    count(scoped.nps) as nps_answers,
    count(*) filter (where scoped.nps >= 9) as promoters,
    count(*) filter (where scoped.nps <= 6) as detractors,
    max(scoped.answered_on) as last_answered_on,
    cast(sum(scoped.complaints) as bigint) as complaints,
    cast(sum(scoped.open_complaints) as bigint) as open_complaints
from scoped
cross join meta.current_run as run
group by scoped.scope, scoped.customer_id, scoped.source_system, scoped.owner, run.extract_date
