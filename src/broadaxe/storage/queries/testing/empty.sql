-- Deletes what every tenant has, but for the tenants themselves and what lets people and programs in. For a database
-- that belongs to tests, while no engine has a tenant in memory. Called by testing.server.
do $$
declare
    found record;
begin
    set local session_replication_role = replica;
    for found in
        select c.oid::regclass as name
        from pg_class c
        where c.relnamespace = 'broadaxe'::regnamespace
          and c.relkind in ('r', 'p')
          and not c.relispartition
          and c.relname not in ('api_token', 'lease', 'membership')
          and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id')
    loop
        execute format('delete from %s', found.name);
    end loop;
end
$$
