-- Instants as before, from expressions that PostgreSQL puts in the place of the call. What adds to a `timestamptz` or
-- takes it apart rests on the time zone of the session, and so was called as a function of its own, which costs over a
-- microsecond for each value: a task has about fifteen. An offset of zero names UTC without looking a name up.

create or replace function broadaxe.from_us(us bigint) returns timestamptz
    language sql immutable strict parallel safe
    return (timestamp 'epoch' + us / 1000000 * interval '1 second' + us % 1000000 * interval '1 microsecond')
        at time zone interval '0 seconds';

create or replace function broadaxe.to_us(at timestamptz) returns bigint
    language sql immutable strict parallel safe
    return (extract(epoch from at at time zone interval '0 seconds') * 1000000)::bigint;
