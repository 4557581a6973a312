-- The list of event filters by their scope looked at all filters of the tenant.
create index event_filter_by_scope on broadaxe.event_filter (tenant_id, scope, id);
