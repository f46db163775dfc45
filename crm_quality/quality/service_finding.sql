-- Where service breaks a promise, is about to, or has somebody to answer: one row per ticket and finding, of tickets opened in
-- the 365 days before or still open. What is promised stands in `service_promises` of the project's settings, by priority;
-- the end of the extract's day is now.
-- answered_late: first answer after the promised time, or none although it has passed. resolved_late: closed after it, or open
-- although it has passed. answer_due, resolution_due: not yet, and the promised time lies in the next two days.
-- reopened: open although it was closed once. complaint: the category says so.
-- kind           as above
-- source_system  key of the ticket
-- source_object  key of the ticket
-- source_id      key of the ticket
-- owner          the agent or team
-- priority       the priority, in small letters; empty where a ticket has none
-- promised_at    until when it was promised; empty where nothing was
-- hours_late     hours after the promise, so far where it still waits; negative where the promise lies ahead
-- waits          somebody has still to do something about it
with ticket as (
    select
        ticket.source_system,
        ticket.source_object,
        ticket.source_id,
        ticket.owner,
        lower(coalesce(ticket.priority, '')) as priority,
        ticket.opened_at,
        ticket.closed_at,
        coalesce(ticket.first_response_at, ticket.closed_at) as answered_at,
        cast(run.extract_date + 1 as timestamp) as now_at,
        run.extract_date,
        -- in minutes: a promise may be of half an hour
        cast(round(promise.answer_hours * 60) as bigint) as answer_minutes,
        cast(round(promise.resolve_hours * 60) as bigint) as resolve_minutes,
        lower(coalesce(ticket.status, '')) in ('closed', 'resolved', 'done', 'solved', '已关闭', '已解决') as says_closed,
        regexp_matches(lower(ticket.category), 'complain|beschwerde|reclam|投诉') as is_complaint
    from core.ticket as ticket
    cross join meta.current_run as run
    left join meta.service_promise as promise on lower(ticket.priority) = promise.priority
),

timed as (
    select
        *,
        opened_at + answer_minutes * interval 1 minute as answer_promised_at,
        opened_at + resolve_minutes * interval 1 minute as resolution_promised_at,
        closed_at is null and not says_closed as is_open,
        closed_at is not null and not says_closed as is_reopened
    from ticket
    where cast(opened_at as date) > extract_date - 365 or (closed_at is null and not says_closed)
),

finding as (
    select
        'answered_late' as kind,
        source_system, source_object, source_id, owner, priority,
        answer_promised_at as promised_at,
        date_diff('minute', answer_promised_at, coalesce(answered_at, now_at)) / 60.0 as hours_late,
        answered_at is null as waits
    from timed
    where answered_at > answer_promised_at or (answered_at is null and is_open and now_at > answer_promised_at)
    union all
    select
        'resolved_late' as kind,
        source_system, source_object, source_id, owner, priority,
        resolution_promised_at as promised_at,
        date_diff('minute', resolution_promised_at, coalesce(closed_at, now_at)) / 60.0 as hours_late,
        is_open as waits
    from timed
    where closed_at > resolution_promised_at or (is_open and now_at > resolution_promised_at)
    union all
    select
        'answer_due' as kind,
        source_system, source_object, source_id, owner, priority,
        answer_promised_at as promised_at,
        date_diff('minute', answer_promised_at, now_at) / 60.0 as hours_late,
        true as waits
    from timed
    where is_open and answered_at is null and answer_promised_at >= now_at and answer_promised_at < now_at + interval 2 day
    union all
    select
        'resolution_due' as kind,
        source_system, source_object, source_id, owner, priority,
        resolution_promised_at as promised_at,
        date_diff('minute', resolution_promised_at, now_at) / 60.0 as hours_late,
        true as waits
    from timed
    where is_open and resolution_promised_at >= now_at and resolution_promised_at < now_at + interval 2 day
    union all
    select
        'reopened' as kind,
        source_system, source_object, source_id, owner, priority,
        cast(null as timestamp) as promised_at,
        cast(null as double) as hours_late,
        true as waits
    from timed
    where is_reopened
    union all
    select
        'complaint' as kind,
        source_system, source_object, source_id, owner, priority,
        cast(null as timestamp) as promised_at,
        cast(null as double) as hours_late,
        is_open or is_reopened as waits
    from timed
    where is_complaint
)

select kind, source_system, source_object, source_id, owner, priority, promised_at, round(hours_late, 2) as hours_late, waits
from finding
