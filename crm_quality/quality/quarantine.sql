-- Every accepted line that is not a record of core, of all canonical objects: what was kept out, where it stands, and why.
-- source_system  stem of the source file that declares the system
-- source_object  the object of the source that the line comes from
-- source_id      the id in the line, if it has one
-- extract_date   the day of the extract
-- file           the file the line stands in
-- line           physical line of the file, from 1
-- table_name     the table of core that the line would have gone to
-- reason         why it was kept out
select source_system, source_object, source_id, extract_date, file, line, 'core.party' as table_name, quarantine_reason as reason
from staging.party
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.opportunity' as table_name, quarantine_reason as reason
from staging.opportunity
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.opportunity_stage' as table_name, quarantine_reason as reason
from staging.opportunity_stage
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.interaction' as table_name, quarantine_reason as reason
from staging.interaction
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.ticket' as table_name, quarantine_reason as reason
from staging.ticket
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.survey_response' as table_name, quarantine_reason as reason
from staging.survey_response
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.loyalty_event' as table_name, quarantine_reason as reason
from staging.loyalty_event
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.referral' as table_name, quarantine_reason as reason
from staging.referral
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.campaign_response' as table_name, quarantine_reason as reason
from staging.campaign_response
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.product' as table_name, quarantine_reason as reason
from staging.product
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.sales_order' as table_name, quarantine_reason as reason
from staging.sales_order
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.order_line' as table_name, quarantine_reason as reason
from staging.order_line
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.invoice' as table_name, quarantine_reason as reason
from staging.invoice
where quarantine_reason is not null
union all
select source_system, source_object, source_id, extract_date, file, line, 'core.payment' as table_name, quarantine_reason as reason
from staging.payment
where quarantine_reason is not null
