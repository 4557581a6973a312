-- Where applied migrations are remembered. Called by storage/migrate.py.
create table if not exists broadaxe.migration (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
);
-- Versions before phases leave it out when they record theirs.
alter table broadaxe.migration
    add column if not exists phase text not null default 'pre' check (phase in ('pre', 'post'))
