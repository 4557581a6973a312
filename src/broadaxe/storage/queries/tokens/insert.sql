-- Stores a new API token by its hash. Called by tokens.create_token. $1 id, $2 tenant, $3 name, $4 hash, $5 created,
-- $6 expires, $7 role, $8 who made it, $9/$10 the only topic it reads (namespace, name) or null.
insert into broadaxe.api_token (
    id, tenant_id, name, token_hash, created_at, updated_at, expires_at, role, made_by, topic_namespace, topic
)
values ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10)
