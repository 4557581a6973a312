-- Conversations belong to people, have a name and branches, and can be shared; answers are judged and keep what they rest on.

alter table conversation
    -- SHA-256 of what the person's browser keeps. Without one, whoever knows the conversation's id may use it.
    add column owner_hash text check (length(owner_hash) = 64),
    add column title text not null default '',
    add column updated_at timestamptz not null default now();

create index conversation_owner on conversation (owner_hash, updated_at desc) where owner_hash is not null;

alter table message
    -- A question follows the answer it was asked after, an answer its question. Messages of one parent are versions.
    add column parent_id uuid,
    add column feedback text check (feedback in ('good', 'bad')),
    -- The passages an answer was to rest on, in full, as they were then.
    add column passages jsonb,
    add unique (conversation_id, message_id),
    add foreign key (conversation_id, parent_id) references message (conversation_id, message_id) on delete cascade;

create index message_parent on message (conversation_id, parent_id);

-- Until now conversations were lines.
with line as (
    select message_id, lag(message_id) over (partition by conversation_id order by ordinal) as before_id
    from message
)
update message
set parent_id = line.before_id
from line
where line.message_id = message.message_id;

update conversation
set title = left(first.content, 120), updated_at = first.latest_at
from (
    select distinct on (conversation_id) conversation_id, content,
           max(created_at) over (partition by conversation_id) as latest_at
    from message
    order by conversation_id, ordinal
) as first
where first.conversation_id = conversation.conversation_id;

-- A link by which others read a conversation, up to the answer at which it was made. Only its SHA-256 is kept.
create table share (
    conversation_id uuid primary key references conversation on delete cascade,
    link_hash text not null unique check (length(link_hash) = 64),
    message_id uuid not null,
    created_at timestamptz not null default now(),
    foreign key (conversation_id, message_id) references message (conversation_id, message_id) on delete cascade
);
