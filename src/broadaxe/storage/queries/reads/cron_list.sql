-- A page of crons with the version they would run now, and how many there are. Called by CalendarReads.crons_page and
-- CalendarReads.cron. Rides cron_pkey; a tenant has few crons (core/calendar.py bounds them).
-- $1 tenant, $2 the one meant, $3 workflow, $4 its name, $5 the cron's name, $6/$7 metadata keys and values that must
-- all match, $8 field and direction of the order, $9 limit, $10 offset, $11/$12 the cron behind which
-- to begin (id, name; then only those behind it are counted). Null means no filter.
with page as (
    select c.*, w.name as workflow_name, count(*) over () as total
    from broadaxe.cron as c
    join broadaxe.workflow as w on w.tenant_id = c.tenant_id and w.id = c.workflow_id
    where c.tenant_id = $1
        and ($2::uuid is null or c.id = $2)
        and ($3::uuid is null or c.workflow_id = $3)
        and ($4::text is null or w.name = $4)
        and ($5::text is null or c.name = $5)
        and ($6::text[] is null or (
            select count(distinct pair.key)
            from unnest($6, $7::text[]) as pair(key, value)
            where c.additional_metadata ->> pair.key = pair.value
        ) = (select count(distinct wanted.key) from unnest($6) as wanted(key)))
        and ($11::uuid is null or case $8
            when 'createdAt DESC' then c.id < $11
            when 'createdAt ASC' then c.id > $11
            when 'name DESC' then
                (c.name is null, coalesce(c.name, ''), c.id) < ($12::text is null, coalesce($12, ''), $11)
            else (c.name is null, coalesce(c.name, ''), c.id) > ($12 is null, coalesce($12, ''), $11)
        end)
    order by
        case when $8 = 'name ASC' then c.name end asc,
        case when $8 = 'name DESC' then c.name end desc,
        case when $8 in ('name ASC', 'createdAt ASC') then c.id end asc,
        c.id desc
    limit $9 offset $10
)
select
    page.tenant_id, page.id, page.workflow_id, page.workflow_name, version.id as version_id, page.expression, page.name,
    page.is_declared, page.input, page.additional_metadata::text,
    coalesce(page.priority, (version.definition ->> 'default_priority')::integer) as priority, page.is_enabled,
    page.created_at, page.updated_at, page.total
from page
cross join lateral (
    select v.id, v.definition
    from broadaxe.workflow_version as v
    where v.tenant_id = page.tenant_id and v.workflow_id = page.workflow_id
    order by v.ordinal desc
    limit 1
) as version
order by
    case when $8 = 'name ASC' then page.name end asc,
    case when $8 = 'name DESC' then page.name end desc,
    case when $8 in ('name ASC', 'createdAt ASC') then page.id end asc,
    page.id desc
