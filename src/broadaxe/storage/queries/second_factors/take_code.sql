-- Takes a recovery code, once. Called by second_factors.check. Rides the primary key. $1 account, $2 hash.
delete from broadaxe.recovery_code where account_id = $1 and code_hash = $2 returning true
