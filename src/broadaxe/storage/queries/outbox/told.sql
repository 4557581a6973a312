-- What these transactions ($2) left in the outbox behind these positions ($3), in the order they committed and then
-- that of the calls: at most $4 rows, and not many more than $5 bytes of them. Called by storage/outbox.py for every
-- notification; rides outbox_by_transaction, so neither other tenants nor rows that are dead already are looked at.
with line as (
    select
        o.*, told.place,
        row_number() over (order by told.place, o.position) as number,
        count(*) over () as found,
        sum(octet_length(o.payload) + coalesce(octet_length(o.additional_metadata), 0))
            over (order by told.place, o.position) as bytes_so_far
    from unnest($2::bigint[], $3::bigint[]) with ordinality as told (transaction_id, position, place)
    cross join lateral (
        select * from broadaxe.outbox as left_behind
        where
            left_behind.tenant_id = $1
            and left_behind.transaction_id = told.transaction_id
            and left_behind.position > told.position
        order by left_behind.position
        limit $4
    ) as o
    order by told.place, o.position
    limit $4
)
select
    line.transaction_id, line.position, line.id::text as id, line.kind, line.name, line.payload,
    line.additional_metadata, line.priority, line.scope, broadaxe.to_us(line.created_at) as created_at_us, line.found
from line
where
    line.number = 1
    or line.bytes_so_far <= $5
order by line.place, line.position
