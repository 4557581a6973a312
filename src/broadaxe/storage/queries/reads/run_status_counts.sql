-- How many runs of a time range stand in each status, and how many of them have nothing live that is not evicted. Called by Reads.run_status_counts (the filter chips).
-- Rides the same indexes as run_list; parameters $1 to $20 are those of run_list.
select
    r.status, count(*) as runs,
    count(*) filter (where r.status = 'RUNNING' and (
        \ir parts/run_is_evicted.sql
    )) as evicted
from broadaxe.run r
where
    \ir parts/run_filter.sql
group by r.status
