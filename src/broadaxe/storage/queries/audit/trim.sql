-- Deletes the oldest entries of every chain, up to the first that was made after $1 (an id) and at most $2 of each, and
-- keeps where each chain begins now. Answers how many went. Called by storage/audit.py; rides the unique index of
-- (tenant_id, chain, seq).
with old as materialized (
    select c.tenant_id, c.chain, coalesce(
        (
            select e.seq - 1
            from broadaxe.audit_entry e
            where e.tenant_id = c.tenant_id and e.chain = c.chain and e.id >= $1
            order by e.seq
            limit 1
        ),
        c.seq
    ) as last
    from broadaxe.audit_chain c
    where exists (
        select
        from broadaxe.audit_entry e
        where e.tenant_id = c.tenant_id and e.chain = c.chain and e.seq = c.trimmed_seq + 1 and e.id < $1
    )
    for update of c skip locked
),
gone as (
    delete from broadaxe.audit_entry e
    using old o, broadaxe.audit_chain c
    where c.tenant_id = o.tenant_id and c.chain = o.chain
        and e.tenant_id = o.tenant_id and e.chain = o.chain
        and e.seq <= least(o.last, c.trimmed_seq + $2)
    returning e.tenant_id, e.chain, e.seq, e.hash
),
moved as (
    update broadaxe.audit_chain c
    set trimmed_seq = g.seq, trimmed_hash = g.hash
    from (select distinct on (tenant_id, chain) tenant_id, chain, seq, hash from gone order by tenant_id, chain, seq desc) g
    where c.tenant_id = g.tenant_id and c.chain = g.chain
)
select count(*) from gone
