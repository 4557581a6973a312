-- Create a conversation unless it exists. Called with each question. Rides the primary key.
insert into conversation (conversation_id)
values ($1)
on conflict do nothing;
