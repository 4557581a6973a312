-- Which OpenID provider vouched for whoever began a session, and, sealed, the ID token it gave then: logging out ends the
-- session at the provider too, and some providers want to be shown that token.
alter table broadaxe.session
    add column provider text,
    add column id_token bytea;
