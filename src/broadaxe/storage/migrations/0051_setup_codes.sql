-- Codes that let whoever reads an engine's log make the first account, while there is none. Only their SHA-256 is kept.
-- Each engine that starts meanwhile has its own.
create table broadaxe.setup_code (
    code_hash bytea primary key,
    expires_at timestamptz not null
);
