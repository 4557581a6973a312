-- A page belongs to a source. Rides the primary key.
insert into source_page (source_id, page_id)
values ($1, $2)
on conflict do nothing;
