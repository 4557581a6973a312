-- How many runs pass a filter, counting no further than $21. Called by Reads.count_runs for the page count.
-- Rides the same indexes as run_list; parameters $1 to $20 are those of run_list.
select count(*)
from (
    select 1
    from broadaxe.run r
    where
        \ir parts/run_filter.sql
    limit $21
) as counted
