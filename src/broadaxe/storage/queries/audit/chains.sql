-- The chains of a tenant's audit log, or of all tenants' ($1 null). Called by AuditLog.verify; rides audit_chain_pkey.
select c.tenant_id, c.chain, c.seq, c.hash, c.trimmed_seq, c.trimmed_hash
from broadaxe.audit_chain c
where $1::uuid is null or c.tenant_id = $1
order by c.tenant_id, c.chain
