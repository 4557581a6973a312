-- Says something of a run, as applications do in their own transactions. Called by storage/run_values.py.
-- $1 run, $2 name, $3 JSON text, $4 tenant.
select broadaxe.set_value($1, $2, $3::text::jsonb, $4::uuid::text)
