-- Messages of topics that are published in an application's own transaction.

-- A message has its topic for a name and the namespace for a scope.
alter table broadaxe.outbox
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (kind in ('RUN', 'EVENT', 'MESSAGE'));

create function broadaxe.publish(
    topic text,
    payload text,
    namespace text default '',
    tenant text default null
) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    chosen uuid := broadaxe.tenant_of_caller(tenant);
    asked_at timestamptz := clock_timestamp();
    transaction_id bigint := pg_current_xact_id()::text::bigint;
begin
    if coalesce(topic, '') = '' then
        raise exception 'a message needs a topic' using errcode = 'invalid_parameter_value';
    end if;
    if payload is null then
        raise exception 'payload must not be null' using errcode = 'invalid_parameter_value';
    end if;
    if char_length(topic) > 255 or char_length(namespace) > 255 then
        raise exception 'topic and namespace may have 255 characters each' using errcode = 'program_limit_exceeded';
    end if;
    if octet_length(payload) > 4190208 then
        raise exception 'payload has % bytes, and may have 4190208', octet_length(payload)
            using errcode = 'program_limit_exceeded', hint = 'Store the data in a table and publish its key.';
    end if;
    insert into broadaxe.outbox (tenant_id, id, transaction_id, kind, name, payload, scope, created_at)
    values (
        chosen, broadaxe.make_id(asked_at), transaction_id, 'MESSAGE', topic, payload, coalesce(namespace, ''), asked_at
    );
    -- Sent when the transaction commits, and once however many rows it leaves.
    perform pg_notify('broadaxe_outbox', chosen || ' ' || transaction_id);
end
$$;
comment on function broadaxe.publish is
    'Publishes a message to a topic if, and as soon as, this transaction commits.';

revoke execute on function broadaxe.publish from public;

-- As before, and with `publish`.
create or replace function broadaxe.grant_enqueue(role text, tenant text) returns void
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
    execute format('grant execute on function broadaxe.enqueue, broadaxe.push_event, broadaxe.publish to %I', role);
end
$$;

create or replace function broadaxe.revoke_enqueue(role text, tenant text) returns void
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
        execute format(
            'revoke execute on function broadaxe.enqueue, broadaxe.push_event, broadaxe.publish from %I', role
        );
    end if;
end
$$;

-- Who may enqueue may publish.
do $$
declare
    granted name;
begin
    for granted in
        select distinct g.role_name from broadaxe.enqueue_grant as g join pg_roles as r on r.rolname = g.role_name
    loop
        execute format('grant execute on function broadaxe.publish to %I', granted);
    end loop;
end
$$;
