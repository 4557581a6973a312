-- The factor of an account, and how many recovery codes are left. Called by second_factors.find. Rides the primary keys.
-- $1 account.
select
    f.secret, f.last_step, f.confirmed_at,
    (select count(*) from broadaxe.recovery_code c where c.account_id = f.account_id) as codes_left
from broadaxe.second_factor f
where f.account_id = $1
