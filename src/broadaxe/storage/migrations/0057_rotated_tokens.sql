-- Which token took the place of one that was rotated, so that lists can say why it ends soon.
alter table broadaxe.api_token add column replaced_by uuid;
