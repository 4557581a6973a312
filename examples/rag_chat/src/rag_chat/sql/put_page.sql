-- Write a new or changed page; its row lock keeps two readers of one page from mixing their passages. Rides
-- page_url_key.
insert into page (url, final_url, title, content_hash, etag, last_modified, links)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (url) do update
set final_url = excluded.final_url,
    title = excluded.title,
    content_hash = excluded.content_hash,
    etag = excluded.etag,
    last_modified = excluded.last_modified,
    links = excluded.links,
    indexed_at = now(),
    checked_at = now()
returning page_id;
