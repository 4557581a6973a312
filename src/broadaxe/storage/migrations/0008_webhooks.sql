-- Incoming webhooks: who may push events over plain HTTP, and what went wrong with their requests.

-- `secret` is what proves a sender, sealed by storage/vault.py; the key is not in the database.
create table broadaxe.webhook (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    name text not null,
    source text not null check (source in ('GENERIC', 'GITHUB', 'STRIPE', 'SLACK', 'LINEAR', 'SVIX')),
    proof text not null check (proof in ('BASIC', 'API_KEY', 'HMAC')),
    secret bytea not null,
    event_key_expression text not null,
    scope_expression text,
    static_payload text,
    returns_event boolean not null default true,
    failure_count bigint not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, name)
);

-- The latest refusals of each webhook. `slot` goes round, so a webhook never has more rows than slots, whoever knocks.
create table broadaxe.webhook_failure (
    tenant_id uuid not null,
    webhook_id uuid not null,
    slot smallint not null check (slot >= 0),
    reason text not null,
    message text not null,
    at timestamptz not null default now(),
    primary key (tenant_id, webhook_id, slot),
    foreign key (tenant_id, webhook_id) references broadaxe.webhook on delete cascade
);
create index webhook_failure_by_time on broadaxe.webhook_failure (tenant_id, at);
