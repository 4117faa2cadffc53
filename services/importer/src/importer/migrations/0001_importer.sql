-- A run reads one spooled file. Its checkpoint (offset_bytes, line_number and the counters) moves in one
-- statement, after the log has the events: what lies behind offset_bytes is published, once or twice, with
-- the same ids. `epoch` rises with every taking up and fences the writes of a worker that lost the run.
create table importer.run (
    project        text not null,
    id             text not null,
    source         text not null check (source in ('access-log', 'ndjson')),
    name           text not null,
    account        text,
    sha256         bytea not null check (length(sha256) = 32),
    identity       text not null,
    identity_bytes integer not null,
    spool          text not null,
    state          text not null check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
    bytes_total    bigint not null,
    bytes_done     bigint not null default 0,
    offset_bytes   bigint not null default 0,
    line_number    bigint not null default 0,
    published      bigint not null default 0,
    rejected       bigint not null default 0,
    skipped        jsonb not null default '{}',
    worked_s       double precision not null default 0,
    worked_at      timestamptz,
    epoch          integer not null default 0,
    failures       integer not null default 0,
    next_try_at    timestamptz not null default now(),
    error          text,
    message        text,
    created_at     timestamptz not null,
    started_at     timestamptz,
    finished_at    timestamptz,
    primary key (project, id)
);

create index run_same_bytes on importer.run (project, sha256);
create index run_short_file on importer.run (project, source, identity_bytes) where identity_bytes < 1024;
create index run_unfinished on importer.run (spool, worked_at nulls first, id)
    where state in ('queued', 'running');

create table importer.rejected_line (
    project     text not null,
    run         text not null,
    byte_offset bigint not null,
    line        bigint not null,
    code        text not null,
    message     text not null,
    field       text,
    start       text not null,
    primary key (project, run, byte_offset),
    foreign key (project, run) references importer.run (project, id) on delete cascade
);

-- What makes a project's anonymous ids unguessable from addresses; the same for all its imports, so that a
-- visitor of last week's log is the visitor of this week's.
create table importer.salt (
    project text primary key,
    salt    bytea not null check (length(salt) = 32)
);
