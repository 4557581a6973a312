-- Whose link has this secret, if it counts; locked, so that it is used once. Called by password_resets.use. Rides the
-- primary key. $1 hash.
select a.id, a.email
from broadaxe.password_reset r
join broadaxe.account a on a.id = r.account_id
where r.secret_hash = $1 and r.expires_at > now()
for update of r
