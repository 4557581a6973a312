-- Invites that still count: those of a tenant, or those for an address. Called by invites.of_tenant and of_email.
-- Rides (tenant_id, email) or invite_by_email. $1 tenant or null, $2 address or null, $3 limit.
select
    i.id, i.tenant_id, i.email, i.role, i.made_by, i.created_at, i.updated_at, i.expires_at, t.name as tenant_name
from broadaxe.invite i
join broadaxe.tenant t on t.id = i.tenant_id
where i.expires_at > now() and (i.tenant_id = $1 or i.email = $2)
order by i.created_at desc, i.id desc
limit $3
