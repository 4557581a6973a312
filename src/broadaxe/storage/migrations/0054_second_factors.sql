-- A second factor of an account: the secret it shares with an authenticator app, sealed, and the newest time step whose
-- code was taken. It is asked for once it is confirmed. Of recovery codes only the SHA-256 is kept, and each goes when it
-- is used.
create table broadaxe.second_factor (
    account_id uuid primary key references broadaxe.account on delete cascade,
    secret bytea not null,
    last_step bigint not null default 0,
    created_at timestamptz not null default now(),
    confirmed_at timestamptz
);
create table broadaxe.recovery_code (
    account_id uuid not null references broadaxe.second_factor on delete cascade,
    code_hash bytea not null,
    primary key (account_id, code_hash)
);
