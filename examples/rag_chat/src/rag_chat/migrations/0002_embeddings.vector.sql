-- Embeddings, applied only where the server offers pgvector. The column has no fixed dimension, because models differ;
-- passages of one question are few enough for an exact scan, so there is no index.

create extension if not exists vector;

alter table passage
    add column embedding vector,
    add column embedding_model text,
    add check ((embedding is null) = (embedding_model is null));
