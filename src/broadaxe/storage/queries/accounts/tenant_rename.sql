-- Gives a tenant another name, or leaves it when $2 is null. Called by accounts.rename_tenant. $1 id.
update broadaxe.tenant
set name = coalesce($2, name), updated_at = case when $2::text is null then updated_at else now() end
where id = $1
returning id, name, slug, created_at, updated_at
