-- How much a customer has to do with us, whether that grows, and by which channel and when to reach them. Customers with an event
-- within two years only. Every event counts by its kind (order 5, visit, meeting or answer 3, other contact 2, response to a
-- campaign 2, opened 1, ticket 1, points 1) and loses half its weight in 90 days; the score is 100 * (1 - exp(- sum / 10)).
-- customer_id         the customer
-- engagement_score    0 to 100
-- trend               rising or falling where the last 90 days weigh half as much again, or less than two thirds, as the 90 before; else steady
-- last_contact_on     day of the last contact
-- contacts_365        contacts within a year
-- preferred_channel   channel of most contacts and responses
-- preferred_day       day of the week of most contacts, 1 Monday to 7 Sunday
-- preferred_time      morning (until 12), afternoon (until 17) or evening, of most contacts
with event as (
    select
        timeline.customer_id,
        timeline.event,
        timeline.channel,
        timeline.happened_at,
        date_diff('day', cast(timeline.happened_at as date), run.extract_date) as age,
        case
            when timeline.event = 'order' then 5
            when timeline.event = 'answer' then 3
            when timeline.event = 'contact' and timeline.channel in ('visit', 'meeting') then 3
            when timeline.event = 'contact' then 2
            when timeline.event = 'campaign' and lower(timeline.status) in ('clicked', 'responded') then 2
            when timeline.event = 'campaign' and lower(timeline.status) = 'opened' then 1
            when timeline.event in ('ticket', 'points') then 1
            else 0
        end as points
    from marts.customer_timeline as timeline
    cross join meta.current_run as run
    where date_diff('day', cast(timeline.happened_at as date), run.extract_date) <= 730
),

summed as (
    select
        customer_id,
        sum(points * power(0.5, age / 90.0)) as weight,
        sum(case when age < 90 then points else 0 end) as last_90,
        sum(case when age >= 90 and age < 180 then points else 0 end) as before_90,
        max(case when event = 'contact' then cast(happened_at as date) end) as last_contact_on,
        count(case when event = 'contact' and age <= 365 then 1 end) as contacts_365
    from event
    group by customer_id
),

channel as (
    select customer_id, channel
    from event
    where channel is not null and points > 0
    group by customer_id, channel
    qualify row_number() over (partition by customer_id order by count(*) desc, max(happened_at) desc, channel) = 1
),

moment as (
    select
        customer_id,
        isodow(happened_at) as day_of_week,
        case when hour(happened_at) < 12 then 'morning' when hour(happened_at) < 17 then 'afternoon' else 'evening' end
            as part_of_day
    from event
    where event = 'contact'
),

preferred_day as (
    select customer_id, day_of_week
    from moment
    group by customer_id, day_of_week
    qualify row_number() over (partition by customer_id order by count(*) desc, day_of_week) = 1
),

preferred_time as (
    select customer_id, part_of_day
    from moment
    group by customer_id, part_of_day
    qualify row_number() over (partition by customer_id order by count(*) desc, part_of_day) = 1
)

select
    summed.customer_id,
    round(cast(100 * (1 - exp(- summed.weight / 10)) as double), 1) as engagement_score,
    case
        when summed.last_90 > 1.5 * summed.before_90 then 'rising'
        when summed.last_90 < summed.before_90 / 1.5 then 'falling'
        else 'steady'
    end as trend,
    summed.last_contact_on,
    summed.contacts_365,
    channel.channel as preferred_channel,
    preferred_day.day_of_week as preferred_day,
    preferred_time.part_of_day as preferred_time
from summed
left join channel on summed.customer_id = channel.customer_id
left join preferred_day on summed.customer_id = preferred_day.customer_id
left join preferred_time on summed.customer_id = preferred_time.customer_id
