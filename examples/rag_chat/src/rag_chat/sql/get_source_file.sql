-- The bytes of a file. Rides the primary key.
select url as name, content_type, body
from source
where source_id = $1 and kind = 'file';
