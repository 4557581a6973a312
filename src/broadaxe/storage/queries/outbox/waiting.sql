-- Everything in the tenant's outbox behind ($2, $3), transaction by transaction: at most $4 rows, and not many more than
-- $5 bytes of them. Called by storage/outbox.py when a tenant is activated and when notifications may have been missed;
-- rides outbox_by_transaction.
with line as (
    select
        o.*,
        row_number() over (order by o.transaction_id, o.position) as number,
        count(*) over () as found,
        sum(octet_length(o.payload) + coalesce(octet_length(o.additional_metadata), 0))
            over (order by o.transaction_id, o.position) as bytes_so_far
    from (
        select * from broadaxe.outbox as o
        where o.tenant_id = $1 and (o.transaction_id, o.position) > ($2, $3)
        order by o.transaction_id, o.position
        limit $4
    ) as o
)
select
    line.transaction_id, line.position, line.id::text as id, line.kind, line.name, line.payload,
    line.additional_metadata, line.priority, line.scope, broadaxe.to_us(line.created_at) as created_at_us, line.found
from line
where
    line.number = 1
    or line.bytes_so_far <= $5
order by line.transaction_id, line.position
