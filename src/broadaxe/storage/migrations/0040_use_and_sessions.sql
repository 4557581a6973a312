-- What people ask when they look after their installation: whether the engine that holds a tenant keeps it to its
-- limits, when a token was last used, and which browsers are logged in. A session has an id of its own, because its
-- hash stands for the cookie and leaves the database for nobody.
alter table broadaxe.lease add column enforces_limits boolean;
alter table broadaxe.api_token add column last_used_at timestamptz;
alter table broadaxe.session
    add column id uuid not null default gen_random_uuid(),
    add column device text not null default '',
    add column last_used_at timestamptz not null default now();
create unique index session_by_account on broadaxe.session (account_id, id);
