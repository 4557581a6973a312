-- One account, with its password hash. Called by accounts.change_password and for the open mode. $1 id.
select id, email, name, password_hash, created_at, updated_at from broadaxe.account where id = $1
