-- Event filters, idempotency keys, and a record of expressions that failed where nobody waited to be told.

-- The run's idempotency key, and the event filter that let its event through with the payload it had then.
alter table broadaxe.run add column idempotency_key text;
alter table broadaxe.run add column filter_id uuid;
alter table broadaxe.run add column filter_payload text;
-- A key may be longer than an index entry.
create index run_by_idempotency_key on broadaxe.run (tenant_id, md5(idempotency_key), id)
    where idempotency_key is not null;

alter table broadaxe.event add column triggering_webhook_name text;
create index event_by_scope on broadaxe.event (tenant_id, scope, id) where scope is not null;

-- Who holds which idempotency key until when. The key is known by its digest (core/claims.py); a claim past its time
-- counts for nothing and is removed by the tenant's owner.
create table broadaxe.idempotency_claim (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    digest bytea not null,
    run_id uuid not null,
    expires_at timestamptz not null,
    primary key (tenant_id, digest)
);

-- Declared ones belong to the newest registration that declared any; the others were made by people.
create table broadaxe.event_filter (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    workflow_id uuid not null,
    scope text not null,
    expression text not null,
    payload text not null,
    is_declared boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, workflow_id) references broadaxe.workflow
);
create index event_filter_by_workflow on broadaxe.event_filter (tenant_id, workflow_id, id);

-- The newest failures only: storage/journal.py trims them.
create table broadaxe.expression_failure (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    source text not null check (source in ('FILTER', 'IDEMPOTENCY_KEY', 'WEBHOOK')),
    message text not null,
    workflow_id uuid,
    event_id uuid,
    at timestamptz not null,
    primary key (tenant_id, id)
);
