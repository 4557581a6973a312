-- Tenants that have something to go on with. Called by engine/engine.py at the start; rides run_live.
select distinct tenant_id from broadaxe.run where finished_at is null
