-- Somebody is asked into a tenant. Only the SHA-256 of the secret in its link is kept. A row goes when it is accepted,
-- rejected or revoked; one that has expired stays until it is sent again or its tenant goes.
create table broadaxe.invite (
    id uuid primary key,
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    email text not null,
    role broadaxe.member_role not null,
    secret_hash bytea not null unique,
    made_by text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    expires_at timestamptz not null,
    unique (tenant_id, email)
);
create index invite_by_email on broadaxe.invite (email);
