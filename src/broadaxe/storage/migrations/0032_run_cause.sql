-- What made a run. Of one that is older than this it is not known: null. Loading takes such a run for an event's if it
-- has one, and else for one that somebody triggered.
create type broadaxe.run_cause as enum ('MANUAL', 'EVENT', 'CRON', 'SCHEDULE');
alter table broadaxe.run add column cause broadaxe.run_cause;
