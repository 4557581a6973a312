-- Keeps the secret of a factor that is still to be confirmed, in place of another such; nothing if one is confirmed.
-- Called by second_factors.begin. Rides the primary key. $1 account, $2 sealed secret.
insert into broadaxe.second_factor (account_id, secret) values ($1, $2)
on conflict (account_id) do update set secret = excluded.secret, created_at = now(), last_step = 0
where second_factor.confirmed_at is null
returning true
