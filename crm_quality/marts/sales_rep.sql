-- How each sales rep works: load, outcome, speed, and how well the records are kept. One row per system and owner.
-- source_system            the CRM
-- owner                    the sales rep, as the system calls them
-- as_of_date               day of the extract
-- open_opportunities       deals in hand
-- won                      deals won in the 365 days before
-- lost                     deals lost in the 365 days before
-- conversion               won / (won + lost); null where nothing closed
-- median_cycle_days        days from creation to close of the deals won in these days
-- activities_28d           interactions of the last 28 days
-- activities_overdue       interactions planned for a day that has passed
-- deals_overdue            open deals whose expected close lies in the past
-- deals_stuck              open deals longer in their stage than it allows
-- process_findings         all findings of quality.process_finding on deals of the last 365 days
-- hygiene                  score of their records, 1 - failed cells / evaluated cells, over all systems and tables
with deal as (
    select
        opportunity.source_system,
        opportunity.owner,
        count(*) filter (where not coalesce(opportunity.is_closed, opportunity.is_won, false)) as open_opportunities,
        count(*) filter (where opportunity.is_won and opportunity.close_date > run.extract_date - 365) as won,
        count(*) filter (
            where opportunity.is_closed and not opportunity.is_won and opportunity.close_date > run.extract_date - 365
        ) as lost,
        median(
            case
                when
                    opportunity.is_won and opportunity.close_date > run.extract_date - 365
                    and opportunity.close_date >= cast(opportunity.created_at as date)
                    then date_diff('day', cast(opportunity.created_at as date), opportunity.close_date)
            end
        ) as median_cycle_days
    from core.opportunity as opportunity
    cross join meta.current_run as run
    where opportunity.owner is not null and not opportunity.is_deleted
    group by opportunity.source_system, opportunity.owner
),

activity as (
    select
        interaction.source_system,
        interaction.owner,
        count(*) filter (
            where cast(interaction.happened_at as date) between run.extract_date - 28 and run.extract_date
        ) as activities_28d,
        count(*) filter (
            where
                cast(interaction.happened_at as date) < run.extract_date
                and lower(interaction.status) in ('planned', 'open', 'not started', 'scheduled', '未开始', '计划中')
        ) as activities_overdue
    from core.interaction as interaction
    cross join meta.current_run as run
    where interaction.owner is not null and not interaction.is_deleted
    group by interaction.source_system, interaction.owner
),

finding as (
    select
        found.source_system,
        found.owner,
        count(*) filter (where found.kind = 'overdue') as deals_overdue,
        count(*) filter (where found.kind = 'stuck') as deals_stuck,
        count(*) filter (where found.happened_on > run.extract_date - 365) as process_findings
    from quality.process_finding as found
    cross join meta.current_run as run
    where found.owner is not null
    group by found.source_system, found.owner
),

hygiene as (
    select
        scored.owner,
        1 - sum(scored.failed_cells) / sum(scored.evaluated_cells) as score
    from quality.owner_score as scored
    inner join meta.current_run as run on scored.extract_date = run.extract_date
    group by scored.owner
),

rep as (
    select source_system, owner
    from deal
    union
    select source_system, owner
    from activity
)

select
    rep.source_system,
    rep.owner,
    run.extract_date as as_of_date,
    coalesce(deal.open_opportunities, 0) as open_opportunities,
    coalesce(deal.won, 0) as won,
    coalesce(deal.lost, 0) as lost,
    deal.won / nullif(deal.won + deal.lost, 0) as conversion,
    deal.median_cycle_days,
    coalesce(activity.activities_28d, 0) as activities_28d,
    coalesce(activity.activities_overdue, 0) as activities_overdue,
    coalesce(finding.deals_overdue, 0) as deals_overdue,
    coalesce(finding.deals_stuck, 0) as deals_stuck,
    coalesce(finding.process_findings, 0) as process_findings,
    hygiene.score as hygiene
from rep
cross join meta.current_run as run
left join deal on rep.source_system = deal.source_system and rep.owner = deal.owner
left join activity on rep.source_system = activity.source_system and rep.owner = activity.owner
left join finding on rep.source_system = finding.source_system and rep.owner = finding.owner
left join hygiene on rep.owner = hygiene.owner
