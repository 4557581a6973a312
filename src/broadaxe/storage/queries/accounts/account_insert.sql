-- Makes an account, unless its e-mail address is taken. Called by accounts.register and accounts.ensure_account.
-- $1 id, $2 e-mail, $3 name, $4 password hash.
insert into broadaxe.account (id, email, name, password_hash) values ($1, $2, $3, $4)
on conflict (email) do nothing
returning id, email, name, created_at, updated_at
