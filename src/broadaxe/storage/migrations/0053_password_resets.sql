-- Links with which somebody who has forgotten their password sets another one. Only the SHA-256 of the secret in a link
-- is kept. A row goes when its link is used or the password is changed; the account's next link sweeps what has expired.
create table broadaxe.password_reset (
    secret_hash bytea primary key,
    account_id uuid not null references broadaxe.account on delete cascade,
    expires_at timestamptz not null
);
create index password_reset_by_account on broadaxe.password_reset (account_id);
