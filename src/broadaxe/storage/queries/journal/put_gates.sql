-- Conditions that tasks wait for. Called by storage/journal.py; rides gate_pkey.
insert into broadaxe.gate as g (tenant_id, task_id, is_open, waits, fired)
select $1, n.*
from unnest($2::uuid[], $3::boolean[], $4::text[], $5::text[]) as n
on conflict (tenant_id, task_id) do update
set is_open = excluded.is_open, waits = excluded.waits, fired = excluded.fired
