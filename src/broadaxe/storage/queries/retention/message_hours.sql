-- How long the tenant keeps messages that keeps them for longest. Called by `retention.enforce_messages`.
select coalesce(max(stream_retention_hours), 0) from broadaxe.tenant
