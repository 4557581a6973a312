-- An account and where it may go: one row per tenant, or one with nulls. Called for every request in the open mode.
-- Rides the account primary key, then (account_id, tenant_id). $1 account, $2 limit.
select a.id, a.email, a.name, a.created_at, a.updated_at, m.tenant_id, m.role
from broadaxe.account a
left join broadaxe.membership m on m.account_id = a.id
where a.id = $1
limit $2
