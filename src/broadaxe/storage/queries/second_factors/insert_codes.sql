-- Keeps recovery codes. Called by second_factors.confirm. $1 account, $2 hashes.
insert into broadaxe.recovery_code (account_id, code_hash) select $1, hash from unnest($2::bytea[]) as hash
