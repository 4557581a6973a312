-- The account of an e-mail address, with its password hash. Called by accounts.login. Rides the unique index. $1 e-mail.
select id, email, name, password_hash, created_at, updated_at from broadaxe.account where email = $1
