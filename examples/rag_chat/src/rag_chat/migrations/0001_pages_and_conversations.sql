-- The chat's own tables: pages that were read, their passages, and conversations.

create table page (
    page_id bigint generated always as identity primary key,
    -- The address that was asked for, and the one its redirects led to.
    url text not null unique check (length(url) <= 2048),
    final_url text not null,
    title text not null,
    content_hash text not null,
    etag text,
    last_modified text,
    links jsonb not null default '[]',
    indexed_at timestamptz not null default now(),
    checked_at timestamptz not null default now()
);

create table passage (
    passage_id bigint generated always as identity primary key,
    page_id bigint not null references page on delete cascade,
    position integer not null,
    heading text not null,
    url text not null,
    body text not null,
    -- Headings weigh more than text: a section called "Install" is about installing.
    search tsvector not null generated always as (
        setweight(to_tsvector('english', heading), 'A') || setweight(to_tsvector('english', body), 'B')
    ) stored,
    unique (page_id, position)
);

create index passage_search on passage using gin (search);

create table conversation (
    conversation_id uuid primary key,
    created_at timestamptz not null default now()
);

create table message (
    message_id uuid primary key,
    conversation_id uuid not null references conversation on delete cascade,
    ordinal bigint generated always as identity,
    role text not null check (role in ('user', 'assistant')),
    status text not null check (status in ('running', 'complete', 'failed', 'cancelled')),
    content text not null,
    url text not null,
    run_id text,
    -- What a page that reconnects is shown: the steps so far, and at the end the result.
    steps jsonb not null default '[]',
    result jsonb,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    check (role = 'assistant' or status = 'complete'),
    check (status = 'running' or finished_at is not null)
);

create index message_conversation on message (conversation_id, ordinal);
create index message_running on message (message_id) where status = 'running';
