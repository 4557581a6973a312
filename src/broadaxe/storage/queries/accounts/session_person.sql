-- Who a session cookie stands for and where they may go: one row per tenant, or one with nulls. Called for every request
-- with a cookie. Rides the session primary key, then (account_id, tenant_id). $1 cookie hash, $2 limit.
select
    a.id, a.email, a.name, a.created_at, a.updated_at, m.tenant_id, m.role,
    s.last_used_at < now() - interval '10 minutes' as is_noted_long_ago
from broadaxe.session s
join broadaxe.account a on a.id = s.account_id
left join broadaxe.membership m on m.account_id = a.id
where s.token_hash = $1 and s.expires_at > now()
limit $2
