-- Whether a worker has had a stream for its durable tasks: it is given such tasks only while it has one (core/fleet.py).
alter table broadaxe.worker add column speaks_durably boolean not null default false;
