-- Makes an account a member of a tenant, with this role whatever it had before. Called by accounts.put_member.
-- $1 id, $2 tenant, $3 account, $4 role.
insert into broadaxe.membership (id, tenant_id, account_id, role) values ($1, $2, $3, $4)
on conflict (account_id, tenant_id) do update set role = excluded.role, updated_at = now()
