-- Stores an invite, in the place of one for the same address that has expired; no row while there is one that has not.
-- Called by invites.make. Rides (tenant_id, email). $1 id, $2 tenant, $3 address, $4 role, $5 hash of the secret,
-- $6 who made it, $7 seconds it counts, $8 invites a tenant may have.
insert into broadaxe.invite as old (id, tenant_id, email, role, secret_hash, made_by, expires_at)
select $1, $2, $3, $4, $5, $6, now() + $7 * interval '1 second'
where (select count(*) from broadaxe.invite where tenant_id = $2) < $8
on conflict (tenant_id, email) do update
set id = excluded.id, role = excluded.role, secret_hash = excluded.secret_hash, made_by = excluded.made_by,
    created_at = now(), updated_at = now(), expires_at = excluded.expires_at
where old.expires_at <= now()
returning id
