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
-- breaches_ahead     open tickets whose promised answer or resolution lies within the next two days
-- answered_in_time   1 - answered_late / tickets with a promise
-- resolved_in_time   1 - resolved_late / tickets with a promise
-- median_answer_hours   hours to the first answer
-- median_resolve_hours  hours to the close
-- reopened           tickets that are open although they were closed once
-- complaints         tickets whose category says so
-- csat               mean CSAT of the answers about these tickets
-- csat_answers       how many that are
-- quality.service_finding says it of each ticket.
with found as (
    select
        source_system,
        source_object,
        source_id,
        count(*) filter (where kind = 'answered_late') as answered_late,
        count(*) filter (where kind = 'resolved_late') as resolved_late,
        count(*) filter (where kind = 'reopened') as reopened,
        count(*) filter (where kind = 'complaint') as complaints,
        max(case when kind in ('answer_due', 'resolution_due') then 1 else 0 end) as breaches_ahead
    from quality.service_finding
    group by source_system, source_object, source_id
),

rated as (
    select source_system, ticket_source_id, sum(score) as score, count(*) as answers
    from core.survey_response
    where kind = 'CSAT' and ticket_source_id is not null and score is not null
    group by source_system, ticket_source_id
),

ticket as (
    select
        ticket.source_system,
        coalesce(ticket.owner, '') as owner,
        lower(coalesce(ticket.priority, '')) as priority,
        run.extract_date,
        ticket.closed_at is null
        and lower(coalesce(ticket.status, '')) not in ('closed', 'resolved', 'done', 'solved', '已关闭', '已解决') as is_open,
        date_diff('minute', ticket.opened_at, ticket.first_response_at) / 60.0 as answer_took,
        date_diff('minute', ticket.opened_at, ticket.closed_at) / 60.0 as resolve_took,
        promise.priority is not null as is_promised,
        coalesce(found.answered_late, 0) as answered_late,
        coalesce(found.resolved_late, 0) as resolved_late,
        coalesce(found.breaches_ahead, 0) as breaches_ahead,
        coalesce(found.reopened, 0) as reopened,
        coalesce(found.complaints, 0) as complaints,
        rated.score,
        rated.answers
    from core.ticket as ticket
    cross join meta.current_run as run
    left join meta.service_promise as promise on lower(ticket.priority) = promise.priority
    left join found
        on
            ticket.source_system = found.source_system
            and ticket.source_object = found.source_object
            and ticket.source_id = found.source_id
    left join rated on ticket.source_system = rated.source_system and ticket.source_id = rated.ticket_source_id
    where cast(ticket.opened_at as date) > run.extract_date - 365
)

select
    source_system,
    owner,
    priority,
    extract_date as as_of_date,
    count(*) as tickets,
    count(*) filter (where is_open) as open_tickets,
    cast(sum(answered_late) as bigint) as answered_late,
    cast(sum(resolved_late) as bigint) as resolved_late,
    cast(sum(breaches_ahead) as bigint) as breaches_ahead,
    1 - sum(answered_late) / nullif(count(*) filter (where is_promised), 0) as answered_in_time,
    1 - sum(resolved_late) / nullif(count(*) filter (where is_promised), 0) as resolved_in_time,
    median(answer_took) as median_answer_hours,
    median(resolve_took) as median_resolve_hours,
    cast(sum(reopened) as bigint) as reopened,
    cast(sum(complaints) as bigint) as complaints,
    sum(score) / nullif(sum(answers), 0) as csat,
    coalesce(cast(sum(answers) as bigint), 0) as csat_answers
from ticket
group by source_system, owner, priority, extract_date
