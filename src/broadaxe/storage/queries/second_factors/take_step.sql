-- Takes the code of a time step, once; nothing if it, or a later one, was taken. Called by second_factors.check and
-- second_factors.confirm. Rides the primary key. $1 account, $2 step, $3 whether it confirms the factor.
update broadaxe.second_factor
set last_step = $2, confirmed_at = case when $3 then now() else confirmed_at end
where account_id = $1 and last_step < $2 and (confirmed_at is null) = $3
returning true
