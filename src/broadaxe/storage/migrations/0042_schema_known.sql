-- Which schema the engine that holds a tenant knows: the name of its newest migration. Migrations that take away what
-- older code needs wait until no such engine holds a tenant. Engines from before this leave it out.
alter table broadaxe.lease add column schema_known text;
