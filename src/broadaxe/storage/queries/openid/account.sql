-- The account of somebody whom a provider has vouched for before. Called by openid.enter. Rides the primary key.
-- $1 issuer, $2 subject.
select a.id, a.email, a.name, a.created_at, a.updated_at
from broadaxe.openid_identity i
join broadaxe.account a on a.id = i.account_id
where i.issuer = $1 and i.subject = $2
