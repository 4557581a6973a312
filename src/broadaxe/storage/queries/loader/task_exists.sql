-- Whether a task is known. Called by engine/engine.py for logs and chunks of finished tasks; rides task_pkey.
select 1 from broadaxe.task where tenant_id = $1 and id = $2
