-- Outputs of tasks. Called by storage/payloads.py for what its cache lost; rides task_pkey.
select id::text, output from broadaxe.task where tenant_id = $1 and id = any($2::uuid[]) and output is not null
