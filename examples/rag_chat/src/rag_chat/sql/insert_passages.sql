-- Write all passages of a page in one statement. Called by put_page's transaction.
insert into passage (page_id, position, heading, url, body)
select $1, position, heading, url, body
from unnest($2::integer[], $3::text[], $4::text[], $5::text[]) as given (position, heading, url, body);
