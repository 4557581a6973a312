-- How much waits in the outbox, and how much was put aside. Called by broadaxe doctor; scans both tables, which are small.
select
    (select count(*) from broadaxe.outbox) as waiting,
    (select count(*) from broadaxe.outbox_refused) as refused
