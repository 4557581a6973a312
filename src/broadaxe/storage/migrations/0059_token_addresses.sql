-- From where each API token was used: a use from another address than those is told in the audit log, once.
create table broadaxe.api_token_address (
    token_id uuid not null references broadaxe.api_token on delete cascade,
    address text not null,
    seen_at timestamptz not null default now(),
    primary key (token_id, address)
);
