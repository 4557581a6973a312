-- What is wrong now of what rules of tokens and nodes watch, for all tenants at once; of the others nothing but that
-- nothing is, where something was told. Called by Alerts.facts once a minute; reads alert_rule, which is short, and for
-- each such rule api_token_by_tenant, the nodes and alert_live. $1 most facts of a rule.
with watched as (
    select r.tenant_id, r.id, r.kind, make_interval(secs => r.window_us / 1e6) as within
    from broadaxe.alert_rule as r
    where r.is_enabled and r.kind in ('TOKEN_EXPIRING', 'NODE_LOST')
),
found as (
    select w.tenant_id, w.id, t.name as subject, min(t.expires_at) as at, 'ends at' as what
    from watched as w
    join broadaxe.api_token as t on t.tenant_id = w.tenant_id
    where w.kind = 'TOKEN_EXPIRING' and t.revoked_at is null and t.replaced_by is null
        -- One that has ended is told of for a week: somebody may still be wondering.
        and t.expires_at between now() - interval '7 days' and now() + w.within
    group by w.tenant_id, w.id, t.name
    union all
    select w.tenant_id, w.id, coalesce(n.link_address, n.address), max(n.renewed_at), 'was last heard of at'
    from watched as w
    join broadaxe.node as n on true
    where w.kind = 'NODE_LOST' and broadaxe.is_gone(n.id)
        and n.renewed_at between now() - w.within - interval '1 hour' and now() - w.within
        -- Another process may have taken its place.
        and not exists (
            select from broadaxe.node as o
            where o.link_address = n.link_address and o.id <> n.id and not broadaxe.is_gone(o.id)
        )
    group by w.tenant_id, w.id, coalesce(n.link_address, n.address)
)
select
    w.tenant_id::text, w.id::text as rule_id, f.subjects, f.said
from watched as w
left join lateral (
    select
        array_agg(first.subject order by first.subject) as subjects,
        array_agg(
            'It ' || first.what || ' ' || to_char(first.at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC.'
            order by first.subject
        ) as said
    from (
        select * from found where found.tenant_id = w.tenant_id and found.id = w.id order by found.at limit $1
    ) as first
) as f on true
where f.subjects is not null
    or exists (
        select from broadaxe.alert as a
        where a.tenant_id = w.tenant_id and a.resolved_at is null and a.rule_id = w.id and a.status = 'FIRING'
    )
