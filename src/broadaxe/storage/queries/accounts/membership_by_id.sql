-- One membership of a tenant. Called by accounts.change_member and end_member. Rides the primary key. $1 tenant,
-- $2 membership.
select
    m.id, m.tenant_id, m.account_id, m.role, m.created_at, m.updated_at, a.email, a.name as account_name,
    t.name as tenant_name, t.slug as tenant_slug, t.created_at as tenant_created_at, t.updated_at as tenant_updated_at
from broadaxe.membership m
join broadaxe.tenant t on t.id = m.tenant_id
join broadaxe.account a on a.id = m.account_id
where m.id = $2 and m.tenant_id = $1
