-- New branches of durable logs. Called by storage/journal.py.
insert into broadaxe.durable_branch (tenant_id, task_id, branch_id, parent_branch_id, fork_node_id)
select $1, n.*
from unnest($2::uuid[], $3::integer[], $4::integer[], $5::integer[]) as n
