-- Every partition of every table of ours with its days; none for the default ones. Called by storage/partitions.py.
select parent, first_day, end_day from broadaxe.partition order by parent, first_day
