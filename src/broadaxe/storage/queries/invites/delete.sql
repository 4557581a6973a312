-- Removes an invite that was accepted, rejected or revoked. Called by invites. Rides the primary key. $1 id.
delete from broadaxe.invite where id = $1
