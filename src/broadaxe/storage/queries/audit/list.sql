-- Entries of a tenant's audit log, newest first. Called by AuditLog.page. Rides audit_entry_pkey, or the index of what
-- is looked for. $1 tenant, $2 action, $3 who, $4 object, $5 kind of who (null means all of each), $6 whether only what
-- was refused, $7 and $8 the range of ids [first, end), $9 limit.
select
    e.id, e.chain, e.seq, e.hash, e.at, e.by_kind, e.by_id, e.by_name, e.by_address, e.action, e.object_id,
    e.object_name, e.before, e.after, e.refusal
from broadaxe.audit_entry e
where e.tenant_id = $1
    and ($2::text is null or e.action = $2)
    and ($3::text is null or e.by_id = $3)
    and ($4::text is null or e.object_id = $4)
    and ($5::text is null or e.by_kind = $5)
    and (not $6::boolean or e.refusal <> '')
    and e.id >= $7 and e.id < $8
order by e.id desc
limit $9
