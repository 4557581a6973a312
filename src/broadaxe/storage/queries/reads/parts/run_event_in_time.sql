-- Whether the event that started the run `r` came in the time range $4/$5 of tenant $1: its id says so, unless it lies near an
-- end of the range (`surely`). `offset 0` keeps the events of that time from being gathered first, however many they are.
r.triggering_event_id >= (select surely.from_id from surely)
    and r.triggering_event_id < (select surely.until_id from surely)
or exists (
    select 1
    from broadaxe.event e
    where e.tenant_id = $1 and e.id = r.triggering_event_id and e.seen_at >= $4 and e.seen_at <= $5
    offset 0
)
