-- Makes a tenant, unless its slug is taken. Called by accounts.create_tenant and accounts.ensure_tenant.
-- $1 id, $2 name, $3 slug.
insert into broadaxe.tenant (id, name, slug) values ($1, $2, $3)
on conflict (slug) do nothing
returning id, name, slug, created_at, updated_at
