-- Makes an account an operator of the installation, or one no longer. Called by accounts.set_operator. $1 account, $2 whether.
update broadaxe.account set is_operator = $2, updated_at = clock_timestamp() where id = $1 and is_operator <> $2
returning email
