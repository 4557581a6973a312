-- Durable streams: topics, who publishes to them, and their messages, which are kept for as many hours as the tenant
-- says.

alter table broadaxe.tenant
    add column stream_retention_hours integer not null default 168
        constraint tenant_stream_retention check (stream_retention_hours between 1 and 1488);

-- A topic's id follows from its names (core/topics.py). `last_number` is that of the latest message; readers without a
-- cursor begin behind `start_number`.
create table broadaxe.stream_topic (
    tenant_id uuid not null,
    id uuid not null,
    namespace text not null,
    name text not null,
    last_number bigint not null,
    last_message_id uuid not null,
    created_at timestamptz not null,
    last_published_at timestamptz not null,
    start_number bigint not null,
    start_message_id uuid not null,
    primary key (tenant_id, id)
);

-- The list that people read.
create index stream_topic_by_name on broadaxe.stream_topic (tenant_id, namespace, name);

-- The highest number under which a producer published to a topic.
create table broadaxe.stream_producer (
    tenant_id uuid not null,
    topic_id uuid not null,
    name text not null,
    seq bigint not null,
    used_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, topic_id, name)
);

-- Numbers of a topic grow with the ids and have no gaps, so a page is read by id, which finds its partition.
create table broadaxe.stream_message (
    tenant_id uuid not null,
    topic_id uuid not null,
    id uuid not null,
    number bigint not null,
    created_at timestamptz not null,
    payload bytea not null,
    payload_ref text not null,
    primary key (tenant_id, topic_id, id)
) partition by range (id);

create table broadaxe.stream_message_default partition of broadaxe.stream_message default;

-- Payloads that are too large for a message, stored once and named by it.
create table broadaxe.stream_payload (
    tenant_id uuid not null,
    id uuid not null,
    content bytea not null,
    primary key (tenant_id, id)
) partition by range (id);

create table broadaxe.stream_payload_default partition of broadaxe.stream_payload default;

-- As before; nothing of a partition with messages is kept.
create or replace function broadaxe.drop_partition(parent text, name text, kept_since timestamptz) returns void
    language plpgsql as $$
declare
    keep text := case parent
        when 'run' then
            'old.finished_at is null or old.finished_at >= %L or old.parent_run_id is not null and exists ('
            'select from broadaxe.run p where p.tenant_id = old.tenant_id and p.id = old.parent_run_id '
            'and p.finished_at is null)'
        when 'task' then 'exists (select from broadaxe.run r where r.tenant_id = old.tenant_id and r.id = old.run_id)'
        when 'event' then 'false'
        when 'log_line' then 'false'
        when 'span' then 'false'
        when 'stream_message' then 'false'
        when 'stream_payload' then 'false'
        else 'exists (select from broadaxe.task t where t.tenant_id = old.tenant_id and t.id = old.task_id)'
    end;
begin
    perform set_config('lock_timeout', '500ms', true);
    perform pg_advisory_xact_lock(hashtext('broadaxe.ensure_partitions'));
    if to_regclass(format('broadaxe.%I', name)) is null then
        return; -- another engine was faster
    end if;
    -- From here on nobody writes to it.
    execute format('lock table broadaxe.%I in share mode', name);
    execute format('create temporary table kept (like broadaxe.%I) on commit drop', parent);
    execute format('insert into kept select old.* from broadaxe.%I old where ' || keep, name, kept_since);
    execute format('alter table broadaxe.%I detach partition broadaxe.%I', parent, name);
    execute format('insert into broadaxe.%I select * from kept', parent);
    execute format('drop table broadaxe.%I', name);
    drop table kept;
end
$$;
