-- Put something into the library. Called by the edge before its run is started.
insert into source (source_id, kind, url, content_type, body, pages_max, reread_days)
values ($1, $2, $3, $4, $5, $6, $7);
