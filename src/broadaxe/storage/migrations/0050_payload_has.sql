-- Whether a payload has a value at a place; for the search in payloads. Values are compared as text: of a string what is
-- in it, of everything else its JSON. A list at the place stands for each of its items, on the way there too (jsonpath's
-- lax mode).
create function broadaxe.payload_has(payload text, place jsonpath, wanted text) returns boolean
language plpgsql immutable strict as $$
begin
    return exists (
        select
        from jsonb_path_query(payload::jsonb, place, silent => true) as found(value)
        where found.value #>> '{}' = wanted
    );
exception
    -- Payloads are stored as they came, and JSON may say what jsonb cannot hold: a number of a thousand digits.
    when data_exception or program_limit_exceeded then
        return false;
end
$$;
