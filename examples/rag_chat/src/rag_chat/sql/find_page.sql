-- What is known of a page, by its address. Called before fetching. Rides page_url_key.
select page_id, final_url, title, content_hash, etag, last_modified, links,
       extract(epoch from now() - checked_at)::float8 as age_s
from page
where url = $1;
