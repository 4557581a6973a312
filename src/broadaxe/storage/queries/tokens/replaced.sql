-- Notes which token took the place of one that was rotated. Called by tokens.rotate_token. Rides the primary key.
-- $1 token id, $2 id of the new one.
update broadaxe.api_token set replaced_by = $2 where id = $1
