-- Which deliveries a webhook has taken: what was recorded on its way and is sent again makes no second event.

alter table broadaxe.webhook add column delivery_count bigint not null default 0;

-- The latest deliveries of each webhook. `slot` goes round, so a webhook never has more rows than slots. `digest` is the
-- SHA-256 of the signature, which is what tells one signed request from another.
create table broadaxe.webhook_delivery (
    tenant_id uuid not null,
    webhook_id uuid not null,
    slot integer not null check (slot >= 0),
    digest bytea not null check (length(digest) = 32),
    event_id uuid not null,
    at timestamptz not null default now(),
    primary key (tenant_id, webhook_id, slot),
    foreign key (tenant_id, webhook_id) references broadaxe.webhook on delete cascade
);
create index webhook_delivery_by_digest on broadaxe.webhook_delivery (tenant_id, webhook_id, digest);
