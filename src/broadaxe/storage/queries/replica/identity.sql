-- What a primary and its replicas have in common and no other server has, and the database. Called by
-- cli/database_checks.py and storage/read_replica.py.
select s.system_identifier, d.oid, pg_is_in_recovery() as is_replica
from pg_control_system() as s, pg_database as d
where d.datname = current_database()
