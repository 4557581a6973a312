-- Makes an account a member of a tenant, with this role whatever it had before; nothing is changed, and no row returned,
-- where the tenant would lose its last owner. Called by accounts.put_member. Rides membership_by_tenant.
-- $1 id, $2 tenant, $3 account, $4 role.
insert into broadaxe.membership as held (id, tenant_id, account_id, role) values ($1, $2, $3, $4)
on conflict (account_id, tenant_id) do update set role = excluded.role, updated_at = now()
    where excluded.role = 'OWNER' or held.role <> 'OWNER' or exists (
        select from broadaxe.membership as other
        where other.tenant_id = held.tenant_id and other.role = 'OWNER' and other.account_id <> held.account_id
    )
returning id
