-- Keeps rows where they are for the rest of the transaction: retention moves some to another partition, where a
-- snapshot taken before does not see them. Called by storage/loader.py before it takes its snapshot.
lock table only broadaxe.run, only broadaxe.task, only broadaxe.task_event, only broadaxe.durable_task,
    only broadaxe.durable_branch, only broadaxe.durable_entry, only broadaxe.gate, only broadaxe.event
in access share mode
