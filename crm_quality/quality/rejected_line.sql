-- One row per line of today's extracts that could not be read, with the reason: what was kept out, and where it stands.
-- source_system  stem of the source file that declares the system
-- source_object  the object of the source that the line is of
-- extract_date   the day of the extract
-- file           the file, below the project's folder
-- line           physical line of the file, from 1
-- column_name    the first column that does not fit
-- reason         what the reader found
-- content        the line as it came
select source_system, source_object, extract_date, file, line, column_name, reason, content
from raw.rejected_line
where extract_date = (select extract_date from meta.current_run)
