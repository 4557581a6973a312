-- Runs of crons and schedules, which may be few among many. What events started is found by the event, and the others are
-- most of all runs as a rule.
create index run_by_cause on broadaxe.run (tenant_id, cause, id) where cause in ('CRON', 'SCHEDULE');
