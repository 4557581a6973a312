-- Takes the lock that is held while the node lives, on a connection of its own. Called by cluster/members.py.
select pg_try_advisory_lock(1113751629, $1)
