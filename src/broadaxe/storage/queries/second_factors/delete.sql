-- Takes a factor away, with its recovery codes. Called by second_factors.remove. Rides the primary key. $1 account.
delete from broadaxe.second_factor where account_id = $1 returning confirmed_at is not null as was_on
