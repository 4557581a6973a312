-- Remembers ticks, in the transaction that makes their runs. Called by storage/journal.py; rides cron_pkey.
update broadaxe.cron as c
set last_tick_at = broadaxe.from_us(n.at)
from unnest($2::uuid[], $3::bigint[]) as n (id, at)
where c.tenant_id = $1 and c.id = n.id
