-- Whether the run `r` was started by an event and stands at `place`, as far as its status tells: $1 tenant, $2/$3 range of
-- the events' ids. Rides run_of_status_by_event, with a workflow run_of_workflow_by_event.
r.tenant_id = $1 and r.status = place.status
and r.triggering_event_id >= $2 and r.triggering_event_id < $3 and r.id >= $2
