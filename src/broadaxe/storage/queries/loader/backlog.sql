-- The tasks that are nothing but waiting, in queue order, as little of each as core/backlog.py remembers. Called by
-- storage/loader.py at activation when there are too many for memory; read with a cursor.
-- $2 the smallest id.
select
    t.definition_id::text, t.queue_priority, uuid_send(t.id) as id, broadaxe.to_us(t.created_at) as created_at_us,
    broadaxe.to_us(t.due_at) as due_at_us
from broadaxe.run as r
join broadaxe.task as t on t.tenant_id = r.tenant_id and t.id = r.id and t.id >= $2::uuid
where
    r.tenant_id = $1 and r.finished_at is null and r.id >= $2::uuid and r.status = 'QUEUED' and not r.is_dag and r.keys is null
    and r.desired_labels is null and r.desired_worker_id is null and t.status = 'QUEUED' and t.retry_count = 0 and t.queue_priority < 4 and t.batch_id is null
order by t.queued_at, t.id
