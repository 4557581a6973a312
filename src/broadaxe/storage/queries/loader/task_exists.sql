-- Whether a task is known. Called by engine/postgres_store.py for logs and chunks of finished tasks; rides task_pkey.
select 1 from broadaxe.task where tenant_id = $1 and id = $2
