-- pgvector, where the server offers it: it compares embeddings faster than plain SQL does.

create extension if not exists vector;
