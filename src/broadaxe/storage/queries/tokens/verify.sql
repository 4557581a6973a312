-- Those of these hashes that are tokens which count today. Called by TokenVerifier, many calls at a time. It notes on
-- the way that they are in use, at most once in ten minutes each, and passes over a row that somebody else is changing.
-- Rides the unique index on token_hash. $1 hashes.
with found as (
    select token_hash, id, tenant_id, expires_at, role, topic_namespace, topic, last_used_at
    from broadaxe.api_token
    where token_hash = any($1::bytea[]) and revoked_at is null and expires_at > now()
),
free as (
    select token.id
    from broadaxe.api_token as token
    where token.id in (
        select id from found where last_used_at is null or last_used_at < now() - interval '10 minutes'
    )
    for no key update skip locked
),
used as (
    update broadaxe.api_token as token set last_used_at = now() from free where token.id = free.id
)
select token_hash, id, tenant_id, expires_at, role, topic_namespace, topic from found
