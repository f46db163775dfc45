-- One row per change of today's extracts against the day before: new and lost columns, other contents, unusual volume.
-- source_system  stem of the source file that declares the system
-- source_object  the object of the source that changed
-- extract_date   the day of the extract
-- kind           new_column, column_gone, type, filled or volume
-- column_name    the column that changed; null where the whole object did
-- detail         what changed, in words
select source_system, source_object, extract_date, kind, column_name, detail
from raw.extract_drift
where extract_date = (select extract_date from meta.current_run)
