-- Ids of schedules that pass a filter, the next first, at most $8. Called by CalendarReads.schedule_ids for bulk
-- deletion. Rides the same indexes as schedule_list; parameters $1 to $7 are those of schedule_list.
select s.id
from broadaxe.schedule as s
where
    \ir parts/schedule_filter.sql
order by s.trigger_at, s.id
limit $8
