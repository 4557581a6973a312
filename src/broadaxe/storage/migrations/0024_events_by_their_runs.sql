-- Events are asked for by what their runs are: which workflow, how they stand. Both lead with what may be rare and give
-- its events in order. Runs that no event started have no entry.
create index run_of_workflow_by_event on broadaxe.run (tenant_id, workflow_id, status, triggering_event_id) include (id)
    where triggering_event_id is not null;
create index run_of_status_by_event on broadaxe.run (tenant_id, status, triggering_event_id) include (id)
    where triggering_event_id is not null;
