-- Inputs of runs. Called by storage/payloads.py for what its cache lost; rides run_pkey.
select id::text, input from broadaxe.run where tenant_id = $1 and id = any($2::uuid[])
