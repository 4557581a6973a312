-- Removes a token without a trace. Called by tokens.delete_token. Rides the unique index on token_hash. $1 hash.
delete from broadaxe.api_token where token_hash = $1
