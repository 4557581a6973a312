-- The defaults hold again for these resources. Called by storage/quotas.py; rides quota_pkey.
delete from broadaxe.quota
where tenant_id = $1 and resource = any($2::text[])
