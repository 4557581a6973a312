-- One page of pushed events, newest first. Called by EventReads.events_page when nothing is asked of the runs they started.
-- Rides the event primary key backwards within the id range, event_by_key, event_by_scope or event_by_metadata.
-- $1 tenant, $2/$3 id range (a page behind a place ends it there), $4/$5 time range, $6 keys, $7 events, $8 scopes,
-- $9 metadata prefilter, $10/$11 metadata keys and their values as text, all of which an event must have, $12 limit,
-- $13 offset. Null means no filter.
select e.id, e.key, e.payload, e.additional_metadata, e.scope, e.triggering_webhook_name, e.seen_at
from broadaxe.event e
where e.tenant_id = $1
    and e.id >= $2 and e.id < $3
    and (
        \ir parts/event_filter.sql
    )
order by e.id desc
limit $12 offset $13
