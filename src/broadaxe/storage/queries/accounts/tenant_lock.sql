-- Makes whoever changes the members of a tenant take turns, so that two owners cannot remove each other at once.
-- Called by accounts.put_member and remove_member. Rides the primary key. $1 tenant.
select from broadaxe.tenant where id = $1 for update
