-- Engines that hold a tenant and do not know the migration $1: their code is older. Those from before the column
-- schema_known say nothing. Called by storage/migrate.py on schemas that have no nodes, and may lack the column.
select distinct l.address
from broadaxe.lease as l
where l.expires_at > clock_timestamp() and coalesce(to_jsonb(l) ->> 'schema_known', '') < $1
order by l.address
