-- Sleepers, for the loader. Apart from 0011, because a new member of a type cannot be used before it is committed.
create index task_evicted on broadaxe.task (tenant_id, id) where status = 'EVICTED';
