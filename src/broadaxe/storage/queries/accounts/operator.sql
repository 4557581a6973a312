-- Whether an account is an operator of the installation. Called by accounts.is_operator. Rides the primary key. $1 account.
select is_operator from broadaxe.account where id = $1
