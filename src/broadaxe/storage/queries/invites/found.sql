-- An invite by its id or by the secret of its link, locked until the transaction ends, so that it is used once; with
-- $3, one that has expired too. Called by invites. Rides the primary key, or the unique index on secret_hash.
-- $1 id or null, $2 hash or null, $3 whether expired ones count.
select
    i.id, i.tenant_id, i.email, i.role, i.made_by, i.created_at, i.updated_at, i.expires_at, t.name as tenant_name
from broadaxe.invite i
join broadaxe.tenant t on t.id = i.tenant_id
where (i.id = $1 or i.secret_hash = $2) and ($3 or i.expires_at > now())
for update of i
