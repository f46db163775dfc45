-- Everything that ever happened to a customer id: an id that is no longer in use is followed through here to the one that took its place.
-- event_id            the same event has the same id in every run
-- run_id              run that caused the event
-- event               new, restore (an ended id is in use again), merge, split or retire
-- customer_id         the id that the event is about
-- into_customer_id    merge: the id that lives on; split: the id that was split off; otherwise empty
-- happened_at         extract date of the run
-- event_number        order of the events; one day may have several runs
select
    event_id,
    run_id,
    event,
    customer_id,
    into_customer_id,
    happened_at,
    event_number
from identity.customer_id_event
