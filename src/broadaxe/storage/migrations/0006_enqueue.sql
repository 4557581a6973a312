-- Transactional enqueue: what an application's own transaction wants done waits in the outbox until that transaction
-- commits; its notification then wakes the engine, which creates the run and removes the row in one transaction.

-- One row per run or event that was asked for. It lives for milliseconds. No foreign key to the tenant: applications
-- would lock one and the same tenant row in every transaction.
create table broadaxe.outbox (
    tenant_id uuid not null,
    id uuid not null,
    -- The transaction that asked: its notification names it, so that the engine reads these rows and no others.
    transaction_id bigint not null,
    position bigint generated always as identity,
    kind text not null check (kind in ('RUN', 'EVENT')),
    -- The workflow's name or the event's key.
    name text not null,
    payload text not null,
    additional_metadata text,
    priority smallint check (priority between 1 and 3),
    scope text,
    created_at timestamptz not null,
    primary key (tenant_id, id)
);
create index outbox_by_transaction on broadaxe.outbox (tenant_id, transaction_id, position);

-- What could not be done in the end, with everything that was asked for: the newest 10,000 of a tenant.
create table broadaxe.outbox_refused (
    tenant_id uuid not null,
    id uuid not null,
    kind text not null,
    name text not null,
    payload text not null,
    additional_metadata text,
    priority smallint,
    scope text,
    created_at timestamptz not null,
    refused_at timestamptz not null,
    reason text not null,
    primary key (tenant_id, id)
);

-- Which login roles may enqueue for which tenants; members of a role may what it may. By name, so that a dump can be
-- restored elsewhere.
create table broadaxe.enqueue_grant (
    role_name name not null,
    tenant_id uuid not null references broadaxe.tenant on delete cascade,
    created_at timestamptz not null default now(),
    primary key (role_name, tenant_id)
);

-- A fresh UUIDv7: 48 bits of milliseconds, 12 bits of what remains of them, then randomness.
create function broadaxe.make_id(at timestamptz) returns uuid
    language sql volatile
    return encode(
        overlay(
            uuid_send(gen_random_uuid())
            placing int8send(
                broadaxe.to_us(at) / 1000 << 16 | 28672 | (broadaxe.to_us(at) % 1000) * 4096 / 1000
            )
            from 1 for 8
        ),
        'hex'
    )::uuid;

-- The tenant the caller means: the one it names by slug or id, or the only one it may use. Runs as the schema's owner,
-- so the caller is the session's user; the owner, its members and superusers may use every tenant.
create function broadaxe.tenant_of_caller(tenant text) returns uuid
    language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    is_owner boolean := pg_has_role(session_user, current_user, 'member');
    named uuid := case
        when tenant ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then tenant::uuid
    end;
    allowed uuid[];
begin
    allowed := array(
        select t.id
        from broadaxe.tenant as t
        where
            (tenant is null or t.slug = tenant or t.id = named)
            and (
                is_owner
                or exists (
                    select from broadaxe.enqueue_grant as g
                    join pg_roles as r on r.rolname = g.role_name
                    where g.tenant_id = t.id and pg_has_role(session_user, r.oid, 'member')
                )
            )
        limit 2
    );
    case cardinality(allowed)
        when 1 then
            return allowed[1];
        when 0 then
            if is_owner then
                raise exception 'there is no tenant %', coalesce(quote_literal(left(tenant, 80)), 'yet')
                    using errcode = 'undefined_object', hint = 'broadaxe tenant list names those there are.';
            end if;
            raise exception 'role % may not enqueue for %', quote_ident(session_user),
                coalesce('tenant ' || quote_literal(left(tenant, 80)), 'any tenant')
                using errcode = 'insufficient_privilege',
                hint = format('As the owner of the schema: select broadaxe.grant_enqueue(%L, ''<tenant>'');', session_user);
        else
            raise exception 'role % may enqueue for several tenants', quote_ident(session_user)
                using errcode = 'ambiguous_parameter', hint = 'Name one by its slug: tenant => ''...''';
    end case;
end
$$;

-- Checks what is common to runs and events, and leaves it for the engine. Called by the two functions below.
create function broadaxe.put_into_outbox(
    tenant_id uuid, kind text, name text, payload jsonb, additional_metadata jsonb, priority integer, scope text,
    payload_name text
) returns uuid
    language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    asked_at timestamptz := clock_timestamp();
    id uuid := broadaxe.make_id(asked_at);
    transaction_id bigint := pg_current_xact_id()::text::bigint;
    payload_text text := coalesce(payload, '{}')::text;
    metadata_text text := nullif(additional_metadata, '{}')::text;
begin
    if jsonb_typeof(payload) <> 'object' then
        raise exception '% must be a JSON object, not %', payload_name, jsonb_typeof(payload)
            using errcode = 'invalid_parameter_value', hint = 'Put the value into an object: {"value": ...}';
    end if;
    if jsonb_typeof(additional_metadata) <> 'object' then
        raise exception 'additional_metadata must be a JSON object, not %', jsonb_typeof(additional_metadata)
            using errcode = 'invalid_parameter_value';
    end if;
    if priority not between 1 and 3 then
        raise exception 'priority must be 1, 2 or 3, not %', priority using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(payload_text) + coalesce(octet_length(metadata_text), 0) > 4194304 then
        raise exception '% and additional_metadata have % bytes, and may have 4194304', payload_name,
            octet_length(payload_text) + coalesce(octet_length(metadata_text), 0)
            using errcode = 'program_limit_exceeded', hint = 'Store the data in a table and enqueue its key.';
    end if;
    insert into broadaxe.outbox (
        tenant_id, id, transaction_id, kind, name, payload, additional_metadata, priority, scope, created_at
    )
    values (
        put_into_outbox.tenant_id, id, transaction_id, kind, name, payload_text, metadata_text, priority, scope, asked_at
    );
    -- Sent when the transaction commits, and once however many rows it leaves.
    perform pg_notify('broadaxe_outbox', tenant_id || ' ' || transaction_id);
    return id;
end
$$;

create function broadaxe.enqueue(
    workflow text,
    input jsonb default '{}',
    additional_metadata jsonb default null,
    priority integer default null,
    tenant text default null
) returns uuid
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    chosen uuid := broadaxe.tenant_of_caller(tenant);
begin
    if not exists (
        select from broadaxe.workflow as w
        where w.tenant_id = chosen and w.name = workflow and w.deleted_at is null
    ) then
        raise exception 'no workflow is registered as %', coalesce(quote_literal(left(workflow, 200)), 'null')
            using errcode = 'undefined_object',
            hint = 'Start a worker that registers it, or check the namespace and the tenant.';
    end if;
    return broadaxe.put_into_outbox(chosen, 'RUN', workflow, input, additional_metadata, priority, null, 'input');
end
$$;
comment on function broadaxe.enqueue is
    'Starts a run of a workflow if, and as soon as, this transaction commits. Returns the id of the run.';

create function broadaxe.push_event(
    key text,
    payload jsonb default '{}',
    additional_metadata jsonb default null,
    priority integer default null,
    scope text default null,
    tenant text default null
) returns uuid
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    chosen uuid := broadaxe.tenant_of_caller(tenant);
begin
    if coalesce(key, '') = '' then
        raise exception 'an event needs a key' using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(key) > 1024 or octet_length(scope) > 2000 then
        raise exception 'key may have 1024 bytes and scope 2000' using errcode = 'program_limit_exceeded';
    end if;
    return broadaxe.put_into_outbox(chosen, 'EVENT', key, payload, additional_metadata, priority, scope, 'payload');
end
$$;
comment on function broadaxe.push_event is
    'Pushes an event if, and as soon as, this transaction commits. Returns the id of the event.';

-- Lets a login role, and the members of it, enqueue for a tenant named by slug or id. For the owner of the schema.
create function broadaxe.grant_enqueue(role text, tenant text) returns void
    language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    granted integer;
begin
    if not exists (select from pg_roles as r where r.rolname = role) then
        raise exception 'there is no role %', coalesce(quote_literal(role), 'null') using errcode = 'undefined_object';
    end if;
    insert into broadaxe.enqueue_grant (role_name, tenant_id)
    select role, t.id from broadaxe.tenant as t where t.slug = tenant or t.id::text = lower(tenant)
    on conflict (role_name, tenant_id) do update set created_at = enqueue_grant.created_at;
    get diagnostics granted = row_count;
    if granted = 0 then
        raise exception 'there is no tenant %', coalesce(quote_literal(tenant), 'null')
            using errcode = 'undefined_object', hint = 'broadaxe tenant list names those there are.';
    end if;
    execute format('grant usage on schema broadaxe to %I', role);
    execute format('grant execute on function broadaxe.enqueue, broadaxe.push_event to %I', role);
end
$$;

-- Takes the right away again. For the owner of the schema.
create function broadaxe.revoke_enqueue(role text, tenant text) returns void
    language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    revoked integer;
begin
    delete from broadaxe.enqueue_grant as g
    using broadaxe.tenant as t
    where g.role_name = role and g.tenant_id = t.id and (t.slug = tenant or t.id::text = lower(tenant));
    get diagnostics revoked = row_count;
    if revoked = 0 then
        raise exception 'role % was not granted tenant %', coalesce(quote_ident(role), 'null'),
            coalesce(quote_literal(tenant), 'null') using errcode = 'undefined_object';
    end if;
    if exists (select from pg_roles as r where r.rolname = role)
        and not exists (select from broadaxe.enqueue_grant as g where g.role_name = role)
    then
        execute format('revoke execute on function broadaxe.enqueue, broadaxe.push_event from %I', role);
    end if;
end
$$;

-- Roles of applications now get into the schema; what they may call there is granted, not given.
revoke execute on function
    broadaxe.make_id, broadaxe.tenant_of_caller, broadaxe.put_into_outbox, broadaxe.enqueue, broadaxe.push_event,
    broadaxe.grant_enqueue, broadaxe.revoke_enqueue, broadaxe.ensure_partitions
from public;
