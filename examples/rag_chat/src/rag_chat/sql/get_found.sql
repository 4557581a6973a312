-- The passages that were found for an answer. Called when one is opened. Rides the primary key.
select passages
from message
where message_id = $1;
