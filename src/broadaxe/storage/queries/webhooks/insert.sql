-- Makes a webhook unless the name is taken or the tenant has $10 of them already. Called by Webhooks.create.
-- Rides the primary key and the unique index on the name. $1 tenant, $2 id, $3 name, $4 source, $5 kind of proof,
-- $6 sealed secret, $7 event key expression, $8 scope expression, $9 static payload, $10 most webhooks, $11 whether the
-- event is returned. One row always: how many there were, and the webhook if it was made.
with counted as (
    select count(*) as webhooks from broadaxe.webhook where tenant_id = $1
),
made as (
    insert into broadaxe.webhook (
        tenant_id, id, name, source, proof, secret, event_key_expression, scope_expression, static_payload,
        returns_event
    )
    select $1, $2, $3, $4, $5, $6, $7, $8, $9, $11
    from counted
    where counted.webhooks < $10
    on conflict (tenant_id, name) do nothing
    returning *
)
select counted.webhooks, made.*
from counted
left join made on true
