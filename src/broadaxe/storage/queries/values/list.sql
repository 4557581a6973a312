-- A page of what a run says of itself, in the order of the names; values of more than $5 bytes are left out. Called by
-- storage/run_values.py; rides run_value_pkey. $1 tenant, $2 run, $3 limit, $4 the name behind which to begin or null.
-- The size as stored is asked first: a large value is not read to find out that it is large.
select
    name, set_at,
    case when pg_column_size(value) <= $5::integer then
        case when octet_length(value::text) <= $5 then value::text end
    end as value
from broadaxe.run_value
where tenant_id = $1 and run_id = $2 and ($4::text is null or name > $4)
order by name
limit $3
