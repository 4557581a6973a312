-- The people of a tenant. Called by accounts.members_of_tenant. Rides membership_by_tenant; people are looked up only for
-- the page. $1 tenant, $2 limit, $3/$4 the membership behind which to begin (instant, id) or null.
with page as materialized (
    select *
    from broadaxe.membership
    where tenant_id = $1 and ($3::timestamptz is null or (created_at, id) > ($3, $4::uuid))
    order by created_at, id
    limit $2
)
select
    m.id, m.tenant_id, m.account_id, m.role, m.created_at, m.updated_at, a.email, a.name as account_name,
    t.name as tenant_name, t.slug as tenant_slug, t.created_at as tenant_created_at, t.updated_at as tenant_updated_at
from page m
join broadaxe.tenant t on t.id = m.tenant_id
join broadaxe.account a on a.id = m.account_id
order by m.created_at, m.id
