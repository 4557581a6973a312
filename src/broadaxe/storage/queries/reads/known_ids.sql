-- Those of these ids that are runs or tasks of the tenant, in the order given. Called by Reads.known_ids.
-- Rides the primary keys. $1 tenant, $2 ids.
select wanted.id
from unnest($2::uuid[]) with ordinality as wanted(id, position)
where exists (select 1 from broadaxe.run r where r.tenant_id = $1 and r.id = wanted.id)
    or exists (select 1 from broadaxe.task t where t.tenant_id = $1 and t.id = wanted.id)
order by wanted.position
