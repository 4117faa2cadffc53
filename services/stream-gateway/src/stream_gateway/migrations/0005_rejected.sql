-- What footfall.rejected holds, as it stands there: the newest of each part and project, for eight days.
create table gateway.rejected (
    part smallint not null,
    seq bigint generated always as identity,
    project text not null,
    id text collate "C" not null,
    received_at timestamptz not null,
    source text not null,
    code text collate "C" not null,
    record text not null,
    primary key (project, id, part)
);

create index rejected_by_time on gateway.rejected (project, received_at, seq);
create index rejected_by_code on gateway.rejected (project, code, received_at, seq);
create index rejected_by_part on gateway.rejected (part, project, received_at, seq);
create index rejected_by_age on gateway.rejected (part, received_at);

-- How many there were of each reason, also of those that are not kept any more.
create table gateway.rejected_hour (
    part smallint not null,
    project text not null,
    code text collate "C" not null,
    hour timestamptz not null,
    rejections bigint not null,
    last_at timestamptz not null,
    primary key (project, code, hour, part)
) with (fillfactor = 50);

-- What people did about them. Not made from the log: it outlives whatever is made again from there.
-- `attempt` stands for the events that may be in the log already, so that no others are put there in their place.
create table gateway.rejected_outcome (
    part smallint not null,
    project text not null,
    id text collate "C" not null,
    state text not null check (state in ('open', 'replayed', 'dismissed')),
    at timestamptz not null,
    by text not null,
    attempt text,
    run text,
    events jsonb not null default '[]',
    primary key (project, id, part)
);

create index rejected_outcome_by_age on gateway.rejected_outcome (part, at);
