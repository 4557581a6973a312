-- The secret of the cluster, made by whoever comes first. Called by cluster/members.py. $1 is what it will be if there is none.
-- The update changes nothing: it makes two who come first at once both see the row.
insert into broadaxe.cluster as kept (link_secret) values ($1)
on conflict (is_only) do update set link_secret = kept.link_secret
returning link_secret
