-- Signing in through OpenID providers: who an account is to a provider, and sign-ins that are under way. An account that a
-- provider's sign-in made has no password until it sets one.
alter table broadaxe.account alter column password_hash drop not null;
create table broadaxe.openid_identity (
    issuer text not null,
    subject text not null,
    account_id uuid not null references broadaxe.account on delete cascade,
    created_at timestamptz not null default now(),
    primary key (issuer, subject)
);
create index openid_identity_by_account on broadaxe.openid_identity (account_id);
create table broadaxe.openid_sign_in (
    state_hash bytea primary key,
    browser_hash bytea not null,
    provider text not null,
    nonce text not null,
    verifier text not null,
    next text not null,
    expires_at timestamptz not null
);
create index openid_sign_in_by_end on broadaxe.openid_sign_in (expires_at);
