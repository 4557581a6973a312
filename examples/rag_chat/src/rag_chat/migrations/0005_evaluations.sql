-- How well passages are found: evaluations, and what was found for each of their questions.

create table evaluation (
    evaluation_id uuid primary key,
    url text not null check (length(url) <= 2048),
    status text not null default 'running' check (status in ('running', 'complete', 'failed')),
    error text,
    run_id text,
    -- Which model compared meanings, if any did.
    embedder text,
    questions integer not null check (questions > 0),
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    check ((status = 'running') = (finished_at is null)),
    check ((status = 'failed') = (error is not null))
);

create index evaluation_created on evaluation (created_at desc);

create table evaluated_question (
    evaluation_id uuid not null references evaluation on delete cascade,
    position integer not null,
    question text not null,
    pages text[] not null,
    -- For each method its rank, precision and the pages it found.
    scores jsonb not null,
    primary key (evaluation_id, position)
);
