-- Take something out of the library. The page made of a file goes with it, pages of the web stay for those who asked
-- about them. Rides the primary key and page_url_key.
with gone as (
    delete from source
    where source_id = $1
    returning source_id
)
delete from page
using gone
where page.url = 'source:' || gone.source_id;
