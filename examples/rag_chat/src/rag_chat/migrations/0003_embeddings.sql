-- Embeddings, as plain arrays, so that they can be kept without pgvector too. Each has the length 1. They have no fixed
-- dimension, because models differ; passages of one question are few enough for an exact scan, so there is no index.
-- Those of a former form are made again when they are next needed.

alter table passage drop column if exists embedding, drop column if exists embedding_model;

alter table passage
    add column embedding real[],
    add column embedding_model text,
    add check ((embedding is null) = (embedding_model is null));
