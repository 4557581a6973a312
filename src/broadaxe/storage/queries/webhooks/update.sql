-- Changes what may be changed of a webhook; null keeps a value, an empty scope expression clears it.
-- Called by Webhooks.change. Rides the unique index on the name. $1 tenant, $2 name, $3 event key expression,
-- $4 scope expression, $5 static payload, $6 whether the event is returned.
update broadaxe.webhook
set event_key_expression = coalesce($3, event_key_expression),
    scope_expression = nullif(coalesce($4, scope_expression), ''),
    static_payload = coalesce($5, static_payload),
    returns_event = coalesce($6, returns_event),
    updated_at = now()
where tenant_id = $1 and name = $2
returning *
