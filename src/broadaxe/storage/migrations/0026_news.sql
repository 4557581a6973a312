-- Events that came for a durable task while it was not in memory (core/dormant.py), in their order.
alter table broadaxe.durable_task add column news uuid[] not null default '{}';
