create table runtime.grp (
    id smallint generated always as identity primary key,
    name text not null unique
);

create table runtime.part (
    grp smallint not null references runtime.grp,
    part smallint not null,
    epoch bigint not null,
    clock timestamptz,
    primary key (grp, part)
) with (fillfactor = 50);

create table runtime.position (
    grp smallint not null references runtime.grp,
    topic text not null,
    part smallint not null,
    log_id text not null,
    next bigint not null,
    primary key (grp, topic, part)
) with (fillfactor = 50);

-- Ids of live records, by the day of recorded_at; whole days are dropped.
create table runtime.seen (
    grp smallint not null,
    part smallint not null,
    hash bytea not null,
    day date not null,
    primary key (grp, part, hash, day)
) partition by range (day);

-- Ids of imported and replayed records: kept as long as history.
create table runtime.seen_import (
    grp smallint not null,
    part smallint not null,
    hash bytea not null,
    primary key (grp, part, hash)
);
