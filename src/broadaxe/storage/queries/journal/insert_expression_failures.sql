-- Records expressions that failed. Called by storage/journal.py.
insert into broadaxe.expression_failure (tenant_id, id, source, message, workflow_id, event_id, at)
select $1, n.id, n.source, n.message, n.workflow_id, n.event_id, broadaxe.from_us(n.at)
from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::bigint[])
    as n (id, source, message, workflow_id, event_id, at)
