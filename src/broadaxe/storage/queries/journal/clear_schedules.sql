-- Forgets every schedule of deleted workflows. Called by storage/journal.py; rides schedule_by_workflow.
delete from broadaxe.schedule where tenant_id = $1 and workflow_id = any($2::uuid[])
