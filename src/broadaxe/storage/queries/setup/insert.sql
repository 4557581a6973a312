-- Keeps a new code and drops those that have expired; nothing while there is an account. Called by setup.new_code.
-- $1 hash, $2 seconds it counts.
with gone as (delete from broadaxe.setup_code where expires_at <= now())
insert into broadaxe.setup_code (code_hash, expires_at)
select $1, now() + $2 * interval '1 second'
where not exists (select from broadaxe.account)
returning true
