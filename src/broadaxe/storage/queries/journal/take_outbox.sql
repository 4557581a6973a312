-- Removes outbox rows in the transaction that does what they asked for; all of them or nothing. Called by
-- storage/journal.py; rides outbox_pkey.
with gone as (
    delete from broadaxe.outbox as o
    using unnest($2::uuid[]) as taken (id)
    where o.tenant_id = $1 and o.id = taken.id
    returning 1
)
select broadaxe.refuse_missing('outbox rows', cardinality($2::uuid[]) - count(*)) from gone
