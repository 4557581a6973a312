-- Engines that hold a tenant and do not know the migration $1: their code is older. A lease that lasts as long as its node
-- says nothing once that is gone. Called by storage/migrate.py.
select distinct l.address
from broadaxe.lease as l
where l.expires_at > clock_timestamp() and coalesce(l.schema_known, '') < $1
    and not (l.expires_at = 'infinity' and broadaxe.is_gone(l.node_id))
order by l.address
