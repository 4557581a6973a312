-- One tenant. Called by accounts.tenant. Rides the primary key. $1 id.
select id, name, slug, created_at, updated_at from broadaxe.tenant where id = $1
