-- Who paused a workflow or a worker, for people to read; empty if nobody knows, and while it is not paused.
alter table broadaxe.workflow add column paused_by text not null default '';
alter table broadaxe.worker add column paused_by text not null default '';
