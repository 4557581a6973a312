-- A page of webhooks, newest first. Called by Webhooks.page. Rides the primary key backwards, or the index on the name.
-- $1 tenant, $2 sources, $3 names, $4 limit, $5 offset, $6 the webhook behind which to begin. Null means no filter.
select *
from broadaxe.webhook
where tenant_id = $1 and ($2::text[] is null or source = any($2)) and ($3::text[] is null or name = any($3))
    and ($6::uuid is null or id < $6)
order by id desc
limit $4 offset $5
