-- Partitions of messages of which every day is before $1, and of payloads from before $2. Called by
-- `retention.enforce_messages`.
select p.parent, p.name
from broadaxe.partition p
where p.parent = 'stream_message' and p.end_day <= $1 or p.parent = 'stream_payload' and p.end_day <= $2
order by p.parent, p.first_day
