-- What a run says of itself under a name. Called by storage/run_values.py; rides run_value_pkey.
select name, set_at, value::text as value from broadaxe.run_value where tenant_id = $1 and run_id = $2 and name = $3
