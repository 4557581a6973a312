-- Entries of one chain in their order, behind $3 and up to $4. Called by AuditLog.verify; rides the unique index of
-- (tenant_id, chain, seq).
select
    e.id, e.chain, e.seq, e.hash, e.at, e.by_kind, e.by_id, e.by_name, e.by_address, e.action, e.object_id,
    e.object_name, e.before, e.after, e.refusal
from broadaxe.audit_entry e
where e.tenant_id = $1 and e.chain = $2 and e.seq > $3 and e.seq <= $4
order by e.seq
limit $5
