-- Whether the listening connection still reaches the server. Called by storage/outbox.py; touches no table.
select 1
