-- Tokens for one topic: whoever holds one reads that durable stream and does nothing else.
alter table broadaxe.api_token
    add column topic_namespace text,
    add column topic text,
    add constraint api_token_topic_whole check ((topic is null) = (topic_namespace is null));
