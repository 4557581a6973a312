-- Which of these people are still logged in and have this role in this tenant: their places in the arrays, from 1.
-- Called by accounts.still_standing. Rides the primary keys of session and membership's index by account. $1 hashes of
-- cookies, null for who needs none, $2 accounts, $3 tenants, $4 roles.
select n.place
from unnest($1::bytea[], $2::uuid[], $3::uuid[], $4::text[])
    with ordinality as n (token_hash, account_id, tenant_id, role, place)
join broadaxe.membership m
    on m.account_id = n.account_id and m.tenant_id = n.tenant_id and m.role::text = n.role
where n.token_hash is null or exists (
    select
    from broadaxe.session s
    where s.token_hash = n.token_hash and s.account_id = n.account_id and s.expires_at > now()
)
