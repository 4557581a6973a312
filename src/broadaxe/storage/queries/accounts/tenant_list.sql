-- Tenants by slug, with the number of people in each. Called by accounts.list_tenants for the command line.
-- Rides the unique index on slug. $1 limit.
select
    t.id, t.name, t.slug, t.created_at, t.updated_at,
    (select count(*) from broadaxe.membership m where m.tenant_id = t.id) as members
from broadaxe.tenant t
order by t.slug
limit $1
