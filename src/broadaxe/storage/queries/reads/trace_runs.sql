-- The runs that spans of a trace name. Called by TraceReads.runs_of. Rides span_by_trace. $1 tenant, $2 trace, $3 limit.
select s.run_id
from broadaxe.span s
where s.tenant_id = $1 and s.trace_id = $2 and s.run_id is not null
group by s.run_id
order by min(s.started_at)
limit $3
