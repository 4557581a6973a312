-- Conditions of the tasks $2. Called by storage/loader.py; rides gate_pkey.
select task_id::text, is_open, waits, fired
from broadaxe.gate
where tenant_id = $1 and task_id = any($2::uuid[])
