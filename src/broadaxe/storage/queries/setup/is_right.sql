-- Whether a code counts. Called by setup.complete. Rides the primary key. $1 hash.
select exists (select from broadaxe.setup_code where code_hash = $1 and expires_at > now())
