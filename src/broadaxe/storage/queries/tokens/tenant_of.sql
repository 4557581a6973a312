-- The tenant a token belongs to. Called by tokens.tenant_of_token. Rides the primary key. $1 token id.
select tenant_id from broadaxe.api_token where id = $1
