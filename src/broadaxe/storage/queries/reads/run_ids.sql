-- Ids of the runs that pass a filter, newest first, at most $21. Called by Reads.run_ids and Reads.count_runs.
-- Rides the same indexes as run_list; parameters $1 to $20 are those of run_list.
select r.id
from broadaxe.run r
where
    \ir parts/run_filter.sql
order by r.id desc
limit $21
