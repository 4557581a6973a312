-- Ends a membership, and says whether an owner is left; the caller takes it back if not. Called by
-- accounts.remove_member. Rides (account_id, tenant_id), then membership_by_tenant. $1 tenant, $2 account.
delete from broadaxe.membership as gone
where gone.account_id = $2 and gone.tenant_id = $1
returning exists (
    select from broadaxe.membership as other
    where other.tenant_id = $1 and other.role = 'OWNER' and other.account_id <> $2
) as has_owner
