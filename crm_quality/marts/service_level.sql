-- How service keeps its promises: tickets opened in the 365 days before, per system, owner and priority. What was promised
-- stands in `service_promises` of the project's settings.
-- source_system      the service desk
-- owner              the agent or team; empty where a ticket has none
-- priority           the priority, in small letters; empty where a ticket has none
-- as_of_date         day of the extract
-- tickets            tickets opened
-- open_tickets       those not yet closed
-- answered_late      first answer after the promised time, or missing although it has passed
-- resolved_late      closed after the promised time, or open although it has passed
-- breaches_ahead     open tickets whose promised resolution lies within the next two days
-- answered_in_time   1 - answered_late / tickets with a promise
-- resolved_in_time   1 - resolved_late / tickets with a promise
-- median_answer_hours   hours to the first answer
-- median_resolve_hours  hours to the close
-- reopened           tickets that are open although they were closed once
-- complaints         tickets whose category says so
-- csat               mean CSAT of the answers about these tickets
-- csat_answers       how many that are
with ticket as (
    select
        ticket.source_system,
        ticket.source_id,
        coalesce(ticket.owner, '') as owner,
        lower(coalesce(ticket.priority, '')) as priority,
        ticket.opened_at,
        ticket.first_response_at,
        ticket.closed_at,
        ticket.category,
        promise.answer_hours,
        promise.resolve_hours,
        lower(coalesce(ticket.status, '')) in ('closed', 'resolved', 'done', 'solved', '已关闭', '已解决') as says_closed,
        cast(run.extract_date + 1 as timestamp) as now_at,
        run.extract_date
    from core.ticket as ticket
    cross join meta.current_run as run
    left join meta.service_promise as promise on lower(ticket.priority) = promise.priority
    where cast(ticket.opened_at as date) > run.extract_date - 365
),

timed as (
    select
        *,
        date_diff('minute', opened_at, coalesce(first_response_at, closed_at, now_at)) / 60.0 as answer_took,
        date_diff('minute', opened_at, coalesce(closed_at, now_at)) / 60.0 as resolve_took,
        closed_at is null and not says_closed as is_open
    from ticket
),

rated as (
    select source_system, ticket_source_id, avg(score) as score, count(*) as answers
    from core.survey_response
    where kind = 'CSAT' and ticket_source_id is not null and score is not null
    group by source_system, ticket_source_id
)

select
    timed.source_system,
    timed.owner,
    timed.priority,
    timed.extract_date as as_of_date,
    count(*) as tickets,
    count(*) filter (where timed.is_open) as open_tickets,
    count(*) filter (where timed.answer_took > timed.answer_hours) as answered_late,
    count(*) filter (where timed.resolve_took > timed.resolve_hours) as resolved_late,
    count(*) filter (
        where timed.is_open and timed.resolve_took <= timed.resolve_hours and timed.resolve_took + 48 > timed.resolve_hours
    ) as breaches_ahead,
    1 - count(*) filter (where timed.answer_took > timed.answer_hours) / nullif(count(timed.answer_hours), 0) as answered_in_time,
    1 - count(*) filter (where timed.resolve_took > timed.resolve_hours) / nullif(count(timed.resolve_hours), 0) as resolved_in_time,
    median(case when timed.first_response_at is not null then timed.answer_took end) as median_answer_hours,
    median(case when timed.closed_at is not null then timed.resolve_took end) as median_resolve_hours,
    count(*) filter (where timed.closed_at is not null and not timed.says_closed) as reopened,
    count(*) filter (where regexp_matches(lower(timed.category), 'complain|beschwerde|reclam|投诉')) as complaints,
    sum(rated.score * rated.answers) / nullif(sum(rated.answers), 0) as csat,
    coalesce(cast(sum(rated.answers) as bigint), 0) as csat_answers
from timed
left join rated on timed.source_system = rated.source_system and timed.source_id = rated.ticket_source_id
group by timed.source_system, timed.owner, timed.priority, timed.extract_date
