-- Appends entries to one chain of a tenant's audit log and links each to the one before it; the chain's row is locked
-- until the commit. Called by storage/journal.py for what the tenant decided and by storage/audit.py for everything
-- else; rides audit_chain_pkey. $1 tenant, $2 chain, $3 what a new chain begins with, $4 digests of the entries' texts.
with recursive n as materialized (
    select *
    from unnest(
        $4::bytea[], $5::uuid[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
        $13::text[], $14::text[], $15::text[], $16::text[]
    ) with ordinality as u (
        digest, id, at, by_kind, by_id, by_name, by_address, action, object_id, object_name, before, after, refusal,
        position
    )
),
chain as materialized (
    select seq, hash from broadaxe.audit_chain where tenant_id = $1 and chain = $2 for update
),
start as materialized (
    select seq, hash from chain
    union all
    select 0, $3::bytea where not exists (select from chain)
),
linked as (
    select 0::bigint as position, s.seq, s.hash from start s
    union all
    select n.position, l.seq + 1, sha256(l.hash || int8send(l.seq + 1) || n.digest)
    from linked l
    join n on n.position = l.position + 1
),
ended as (
    insert into broadaxe.audit_chain (tenant_id, chain, seq, hash, trimmed_hash)
    select $1, $2, l.seq, l.hash, $3 from linked l order by l.position desc limit 1
    on conflict (tenant_id, chain) do update set seq = excluded.seq, hash = excluded.hash
)
insert into broadaxe.audit_entry (
    tenant_id, id, chain, seq, hash, at, by_kind, by_id, by_name, by_address, action, object_id, object_name, before,
    after, refusal
)
select
    $1, n.id, $2, l.seq, l.hash, broadaxe.from_us(n.at), n.by_kind, n.by_id, n.by_name, n.by_address, n.action,
    n.object_id, n.object_name, n.before, n.after, n.refusal
from n
join linked l on l.position = n.position
