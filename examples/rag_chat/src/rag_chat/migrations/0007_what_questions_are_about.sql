-- A question may be about several addresses, and says how much is done for its answer.

alter table message
    add column sources jsonb not null default '[]',
    add column mode text not null default 'balanced' check (mode in ('quick', 'balanced', 'thorough'));
