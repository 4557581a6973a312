-- One tenant by its slug. Called by accounts.ensure_tenant. Rides the unique index. $1 slug.
select id, name, slug, created_at, updated_at from broadaxe.tenant where slug = $1
