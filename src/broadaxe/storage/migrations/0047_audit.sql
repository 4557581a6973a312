-- The audit log: who did what to what, and when. Rows only come, until they are older than the log is kept.
--
-- The entries of a tenant are in two chains, each linked by hashes: what the tenant decided (TENANT, written by its
-- owner) and what edges and the command line write past it (EDGE). So neither ever waits for the other. The nil tenant
-- is the installation's. An entry outlives its tenant, so nothing here refers to one.
create table broadaxe.audit_entry (
    tenant_id uuid not null,
    id uuid not null,
    chain text not null check (chain in ('TENANT', 'EDGE')),
    -- From 1, without gaps.
    seq bigint not null,
    -- sha256(hash of the one before, seq as 8 bytes, sha256 of the entry's text).
    hash bytea not null check (length(hash) = 32),
    at timestamptz not null,
    by_kind text not null check (by_kind in ('ACCOUNT', 'TOKEN', 'CLI', 'NOBODY')),
    by_id text not null,
    by_name text not null,
    by_address text not null,
    action text not null,
    object_id text not null,
    object_name text not null,
    -- JSON objects as they were written, since their text is hashed.
    before text,
    after text,
    refusal text not null,
    primary key (tenant_id, id),
    unique (tenant_id, chain, seq)
);
create index audit_entry_action_idx on broadaxe.audit_entry (tenant_id, action, id);
create index audit_entry_by_idx on broadaxe.audit_entry (tenant_id, by_id, id);
create index audit_entry_object_idx on broadaxe.audit_entry (tenant_id, object_id, id);

-- Where each chain ends, and where it begins since its oldest entries are gone.
create table broadaxe.audit_chain (
    tenant_id uuid not null,
    chain text not null check (chain in ('TENANT', 'EDGE')),
    seq bigint not null,
    hash bytea not null,
    trimmed_seq bigint not null default 0,
    trimmed_hash bytea not null,
    primary key (tenant_id, chain),
    check (seq >= trimmed_seq)
);
