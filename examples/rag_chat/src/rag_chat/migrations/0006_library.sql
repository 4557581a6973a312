-- The library: what people gave the chat to read for good, which pages that brought, and how these changed.

create table source (
    source_id uuid primary key,
    kind text not null check (kind in ('page', 'site', 'file')),
    -- The address, or the name of a file.
    url text not null check (length(url) between 1 and 2048),
    content_type text,
    body bytea,
    pages_max integer not null default 1 check (pages_max > 0),
    reread_days integer check (reread_days > 0),
    status text not null default 'reading' check (status in ('reading', 'ready', 'failed')),
    error text,
    run_id text,
    -- How many pages there are to read, as far as is known.
    found integer not null default 1,
    created_at timestamptz not null default now(),
    read_at timestamptz,
    check ((kind = 'file') = (body is not null)),
    check ((kind = 'file') = (content_type is not null)),
    check ((status = 'failed') = (error is not null))
);

create index source_created on source (created_at desc);

create table source_page (
    source_id uuid not null references source on delete cascade,
    page_id bigint not null references page on delete cascade,
    primary key (source_id, page_id)
);

create index source_page_page on source_page (page_id);

create table page_change (
    page_change_id bigint generated always as identity primary key,
    page_id bigint not null references page on delete cascade,
    changed_at timestamptz not null default now(),
    -- Passages, in full.
    added text[] not null,
    removed text[] not null
);

create index page_change_page on page_change (page_id, page_change_id desc);

-- Which answers rest on a page.
create index message_result on message using gin (result jsonb_path_ops) where result is not null;
