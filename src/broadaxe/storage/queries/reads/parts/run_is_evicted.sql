-- Whether all live tasks of the run `r` are evicted.
case
    when r.is_dag then coalesce((
        select bool_and(live.status = 'EVICTED')
        from broadaxe.task live
        where live.tenant_id = r.tenant_id and live.run_id = r.id and live.id <> live.run_id
            and live.id >= broadaxe.id_floor(r.created_at - interval '1 minute') and live.finished_at is null
    ), false)
    else exists (
        select 1
        from broadaxe.task only_one
        where only_one.tenant_id = r.tenant_id and only_one.id = r.id and only_one.status = 'EVICTED'
    )
end
