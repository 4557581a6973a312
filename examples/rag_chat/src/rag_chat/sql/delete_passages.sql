-- Remove the passages of a page that is about to be indexed again. Rides passage_page_id_position_key.
delete from passage
where page_id = $1;
