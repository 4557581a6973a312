-- The tenants in whose logs it stands what an account does with itself, in the order in which their chains are locked.
-- Called by storage/audit.py; rides the index of memberships by account. $1 account, $2 how many at most.
select m.tenant_id
from broadaxe.membership m
where m.account_id = $1
order by m.tenant_id
limit $2
