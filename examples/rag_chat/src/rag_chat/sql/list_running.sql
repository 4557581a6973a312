-- Answers somebody may still wait for. Called once when the edge starts. Rides message_running.
select message_id
from message
where status = 'running'
order by ordinal
limit $1;
