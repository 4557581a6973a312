-- Rows that a batch was to change must be there: if any is missing, nothing of the batch is written.
create function broadaxe.refuse_missing(what text, missing bigint) returns void
    language plpgsql as $$
begin
    if missing > 0 then
        raise exception '% % of the batch are not there', missing, what using errcode = 'no_data_found';
    end if;
end
$$;
