-- What a customer talks about: themes of answers, tickets and contacts, by the words that segments.yaml declares for each. A text may
-- be about several, or none.
-- customer_id         the customer
-- theme               the theme
-- mentions            answers, tickets and contacts about it
-- mentions_365        those of them within a year
-- satisfaction        mean score of the answers about it, 0 to 1; empty without a score
-- last_mentioned_on   day of the last one
-- last_text           what it said
with text_theme as (
    select text.what, theme.theme
    from (
        select distinct what
        from golden.customer_child
        where child in ('survey_response', 'ticket', 'interaction') and what is not null
    ) as text
    inner join meta.theme as theme on regexp_matches(lower(text.what), theme.pattern)
)

select
    child.customer_id,
    text_theme.theme,
    count(*) as mentions,
    count(case when date_diff('day', cast(child.happened_at as date), run.extract_date) < 365 then 1 end) as mentions_365,
    round(
        cast(
            avg(
                case
                    when child.child = 'survey_response' and lower(child.status) = 'nps' then child.amount / 10
                    when child.child = 'survey_response' then child.amount / 5
                end
            ) as double
        ),
        2
    ) as satisfaction,
    cast(max(child.happened_at) as date) as last_mentioned_on,
    -- two of the same second: the greater id
    arg_max(child.what, concat(cast(child.happened_at as varchar), ' ', child.source_id)) as last_text
from golden.customer_child as child
cross join meta.current_run as run
inner join text_theme on child.what = text_theme.what
where
    child.child in ('survey_response', 'ticket', 'interaction')
    and not child.is_void
    and cast(child.happened_at as date) <= run.extract_date
group by child.customer_id, text_theme.theme
