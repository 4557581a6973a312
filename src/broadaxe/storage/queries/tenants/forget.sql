-- Nothing of a deleted tenant is left. Called by storage/tenant_deletion.py; rides deleted_tenant_pkey. $1 tenant.
delete from broadaxe.deleted_tenant where id = $1
