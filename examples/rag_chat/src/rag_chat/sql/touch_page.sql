-- Remember that a page was looked at and is unchanged. Called after HTTP 304 or an equal content hash. Rides the
-- primary key.
update page
set checked_at = now(), etag = coalesce($2, etag), last_modified = coalesce($3, last_modified), links = coalesce($4, links)
where page_id = $1;
