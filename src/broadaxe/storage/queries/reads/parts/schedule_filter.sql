-- Which schedules `s` are asked for: $1 tenant, $2 workflow, $3 parent run, $4 parent task, $5 metadata prefilter, $6/$7
-- metadata keys and values that must all match. Null means no filter.
s.tenant_id = $1
and ($2::uuid is null or s.workflow_id = $2)
and ($3::uuid is null or s.parent_run_id = $3)
and ($4::uuid is null or s.parent_task_id = $4)
and ($5::jsonb[] is null or s.additional_metadata @> any($5))
and ($6::text[] is null or (
    select count(distinct pair.key)
    from unnest($6, $7::text[]) as pair(key, value)
    where s.additional_metadata ->> pair.key = pair.value
) = (select count(distinct wanted.key) from unnest($6) as wanted(key)))
