-- One row per source, table and dimension of every published extract date: the share of cells that are right.
-- A cell is one row under one check. Checks that do not apply to a source, and rows a check says nothing about, are
-- in neither number; every cell weighs the same, whatever the severity of its check.
-- run_id           the run that made the checks
-- extract_date     the day the score is of
-- source_system    the source; for tables that are made from all sources, the schema of the table
-- table_name       the table
-- dimension        completeness, accuracy, validity, uniqueness, consistency or timeliness
-- score            1 - failed_cells / evaluated_cells: from 0 to 1
-- evaluated_cells  cells that were judged
-- failed_cells     cells that are wrong
-- checked_at       when
select
    result.run_id,
    result.extract_date,
    counted.source_system,
    result.table_name,
    result.dimension,
    1 - sum(counted.failed_rows) / sum(counted.evaluated_rows) as score,
    cast(sum(counted.evaluated_rows) as bigint) as evaluated_cells,
    cast(sum(counted.failed_rows) as bigint) as failed_cells,
    max(result.checked_at) as checked_at
from quality.check_result as result
inner join meta.current_run as run on result.run_id = run.run_id
inner join quality.check_result_by_source as counted
    on
        result.run_id = counted.run_id
        and result.extract_date = counted.extract_date
        and result.check_id = counted.check_id
where counted.evaluated_rows > 0
group by result.run_id, result.extract_date, counted.source_system, result.table_name, result.dimension
union all
select
    before.run_id,
    before.extract_date,
    before.source_system,
    before.table_name,
    before.dimension,
    before.score,
    before.evaluated_cells,
    before.failed_cells,
    before.checked_at
from previous.dimension_score as before
inner join meta.current_run as run on before.extract_date < run.extract_date
