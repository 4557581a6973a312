-- Sources whose time to be read again has come. Called by the cron. Scans source, which is small.
select source_id
from source
where reread_days is not null and status <> 'reading' and kind <> 'file'
    -- An hour less, so that one that is due every day is not late every other day.
    and coalesce(read_at, created_at) < now() - make_interval(days => reread_days, hours => -1)
order by read_at nulls first
limit $1;
