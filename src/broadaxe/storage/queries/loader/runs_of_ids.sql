-- The run ids behind ids that may name a run or a task. Called by storage/loader.py; rides run_pkey and task_pkey.
select id::text from broadaxe.run where tenant_id = $1 and id = any($2::uuid[])
union
select run_id::text from broadaxe.task where tenant_id = $1 and id = any($2::uuid[])
