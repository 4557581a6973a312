-- Whether somebody with this address belongs to a tenant. Called by invites.make. Rides account's unique index on
-- email, then (account_id, tenant_id). $1 tenant, $2 address.
select exists (
    select from broadaxe.membership m join broadaxe.account a on a.id = m.account_id
    where a.email = $2 and m.tenant_id = $1
)
