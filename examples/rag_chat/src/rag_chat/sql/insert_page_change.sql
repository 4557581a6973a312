-- How a page differs from what it was. Called by put_page's transaction. Passages are compared by their text.
with old as (
    select body from passage where page_id = $1
),
new as (
    select body from unnest($2::text[]) as given (body)
),
difference as (
    select array(select body from new except select body from old limit $3) as added,
           array(select body from old except select body from new limit $3) as removed
)
insert into page_change (page_id, added, removed)
select $1, added, removed
from difference
where exists (select from old) and (cardinality(added) > 0 or cardinality(removed) > 0);
