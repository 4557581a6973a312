-- Accounts that may see and change what concerns the whole installation: its nodes. Roles are within a tenant.
alter table broadaxe.account add column is_operator boolean not null default false;
