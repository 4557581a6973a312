-- Makes an account without a password. Called by openid.enter. $1 id, $2 e-mail, $3 name.
insert into broadaxe.account (id, email, name) values ($1, $2, $3)
returning id, email, name, created_at, updated_at
