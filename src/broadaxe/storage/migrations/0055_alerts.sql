-- Alerts: who is told (channels), of what (rules), what went wrong (alerts), and what channels were given (deliveries).

-- `target` is where a channel leads and what proves a message, sealed by storage/vault.py; `shown` is what people may
-- read of it.
create table broadaxe.alert_channel (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    name text not null,
    kind text not null check (kind in ('WEBHOOK', 'SLACK', 'PAGERDUTY', 'EMAIL')),
    target bytea not null,
    shown text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, name)
);

-- Written by the tenant's owner alone. `workflow` is a name, empty for every workflow.
create table broadaxe.alert_rule (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    name text not null,
    kind text not null,
    workflow text not null,
    threshold integer not null check (threshold > 0),
    window_us bigint not null check (window_us > 0),
    quiet_us bigint not null check (quiet_us >= 0),
    channel_ids uuid[] not null,
    is_enabled boolean not null,
    template text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);

-- What a rule watches (PENDING: nothing to be told of yet) and what it told of. `state` is what the owner's memory is
-- made of again, for those that are not over.
create table broadaxe.alert (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    rule_id uuid not null,
    rule_name text not null,
    kind text not null,
    subject text not null,
    status text not null check (status in ('PENDING', 'FIRING', 'RESOLVED')),
    opened_at timestamptz not null,
    last_at timestamptz not null,
    resolved_at timestamptz,
    count bigint not null,
    run_id uuid,
    error text,
    state text,
    primary key (tenant_id, id),
    constraint alert_over_is_whole check ((status = 'RESOLVED') = (resolved_at is not null) and (status = 'RESOLVED') = (state is null))
);
create index alert_live on broadaxe.alert (tenant_id) where resolved_at is null;

-- A message for a channel. One that waits is given at `next_at`, which whoever takes it moves on first: should they
-- break off, it is given again. The row outlives its channel.
create table broadaxe.alert_delivery (
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    id uuid not null,
    alert_id uuid not null,
    channel_id uuid not null,
    occasion text not null check (occasion in ('FIRED', 'AGAIN', 'RESOLVED', 'TEST')),
    message text not null,
    status text not null default 'WAITING' check (status in ('WAITING', 'DELIVERED', 'FAILED')),
    attempts integer not null default 0,
    next_at timestamptz not null,
    created_at timestamptz not null,
    ended_at timestamptz,
    error text,
    primary key (tenant_id, id)
);
create index alert_delivery_due on broadaxe.alert_delivery (next_at) where status = 'WAITING';
create index alert_delivery_of_alert on broadaxe.alert_delivery (tenant_id, alert_id);
