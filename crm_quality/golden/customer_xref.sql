-- Which customer every source record belongs to. A record has exactly one customer; a customer has one or more records.
-- customer_id          the lasting id of the customer
-- source_system        system that the record comes from
-- source_object        object of that system (Account, Contact ...)
-- source_id            id of the record in its system
-- match_probability    how sure it is that the record belongs to this customer, 0 to 1
-- match_reason         why the record was put with this customer
select
    customer_id,
    source_system,
    source_object,
    source_id,
    match_probability,
    match_reason
from identity.customer_xref
