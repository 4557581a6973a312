-- The secret of the cluster, made by whoever comes first. Called by cluster/members.py. $1 is what it will be if there is none.
with made as (
    insert into broadaxe.cluster (link_secret) values ($1) on conflict (is_only) do nothing returning link_secret
)
select link_secret from made union all select link_secret from broadaxe.cluster limit 1
