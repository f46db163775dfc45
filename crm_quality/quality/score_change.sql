-- Is it getting better or worse: today's scores of everything, each source, each dimension and each owner, against the
-- last run and the 28 days before. The day under test is no part of what is expected of it.
-- scope           all, source, dimension, source and dimension, or owner
-- source_system   the source, where the scope names one
-- dimension       the dimension, where the scope names one
-- owner           the owner, where the scope is owner
-- extract_date    today: the day of the extract
-- score           1 - failed cells / evaluated cells, over all tables
-- last_score      that of the published run before
-- last_change     score - last_score
-- usual_score     median of the published days of the 28 days before today
-- usual_change    score - usual_score
-- usual_days      how many days that is
-- expected_least  usual_score less three standard deviations (1.4826 times the median absolute deviation, Rousseeuw and
--                 Croux 1993), at least one point in a hundred; null before there are five days
-- is_alert        the score is below expected_least
with cell as (
    select extract_date, source_system, dimension, cast(null as varchar) as owner, failed_cells, evaluated_cells
    from quality.dimension_score
    union all
    select extract_date, null as source_system, null as dimension, owner, failed_cells, evaluated_cells
    from quality.owner_score
),

scored as (
    select
        'all' as scope,
        cast(null as varchar) as source_system,
        cast(null as varchar) as dimension,
        cast(null as varchar) as owner,
        extract_date,
        1 - sum(failed_cells) / sum(evaluated_cells) as score
    from cell
    where owner is null
    group by extract_date
    union all
    select 'source' as scope, source_system, null as dimension, null as owner, extract_date, 1 - sum(failed_cells) / sum(evaluated_cells) as score
    from cell
    where owner is null
    group by source_system, extract_date
    union all
    select 'dimension' as scope, null as source_system, dimension, null as owner, extract_date, 1 - sum(failed_cells) / sum(evaluated_cells) as score
    from cell
    where owner is null
    group by dimension, extract_date
    union all
    select 'source and dimension' as scope, source_system, dimension, null as owner, extract_date, 1 - sum(failed_cells) / sum(evaluated_cells) as score
    from cell
    where owner is null
    group by source_system, dimension, extract_date
    union all
    select 'owner' as scope, null as source_system, null as dimension, owner, extract_date, 1 - sum(failed_cells) / sum(evaluated_cells) as score
    from cell
    where owner is not null
    group by owner, extract_date
),

series as (
    select
        scored.*,
        concat_ws('|', scored.scope, coalesce(scored.source_system, ''), coalesce(scored.dimension, ''), coalesce(scored.owner, '')) as series
    from scored
),

today as (
    select series.*
    from series
    inner join meta.current_run as run on series.extract_date = run.extract_date
),

earlier as (
    select series.series, series.extract_date, series.score, run.extract_date as today
    from series
    inner join meta.current_run as run on series.extract_date < run.extract_date
),

last_run as (
    select series, max_by(score, extract_date) as score
    from earlier
    group by series
),

usual as (
    select series, median(score) as score, count(*) as days
    from earlier
    where extract_date >= today - 28
    group by series
),

spread as (
    select earlier.series, 1.4826 * median(abs(earlier.score - usual.score)) as deviation
    from earlier
    inner join usual on earlier.series = usual.series
    where earlier.extract_date >= earlier.today - 28
    group by earlier.series
),

compared as (
    select
        today.*,
        last_run.score as last_score,
        usual.score as usual_score,
        coalesce(usual.days, 0) as usual_days,
        case when usual.days >= 5 then usual.score - greatest(0.01, 3 * spread.deviation) end as expected_least
    from today
    left join last_run on today.series = last_run.series
    left join usual on today.series = usual.series
    left join spread on today.series = spread.series
)

select
    scope,
    source_system,
    dimension,
    owner,
    extract_date,
    score,
    last_score,
    score - last_score as last_change,
    usual_score,
    score - usual_score as usual_change,
    usual_days,
    expected_least,
    coalesce(score < expected_least, false) as is_alert
from compared
