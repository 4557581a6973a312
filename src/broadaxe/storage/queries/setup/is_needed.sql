-- Whether there is no account yet. Called by setup.is_needed. Reads one row of the primary key at most.
select not exists (select from broadaxe.account)
