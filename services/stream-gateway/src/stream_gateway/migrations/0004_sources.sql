-- Which key and SDK live events and refused ones came from, '' being none. By `received_at`.

create table gateway.source (
    part smallint not null,
    project text not null,
    key text collate "C" not null,
    sdk text collate "C" not null,
    events bigint not null,
    first_received_at timestamptz not null,
    last_received_at timestamptz not null,
    primary key (project, key, sdk, part)
) with (fillfactor = 50);

-- The last two hours; pruned.
create table gateway.source_minute (
    part smallint not null,
    project text not null,
    minute timestamptz not null,
    key text collate "C" not null,
    sdk text collate "C" not null,
    events bigint not null,
    primary key (project, minute, key, sdk, part)
) with (fillfactor = 50);

-- What footfall.rejected holds of them, by reason, and the last of each: message, hint, field and place.
create table gateway.source_rejection (
    part smallint not null,
    project text not null,
    key text collate "C" not null,
    sdk text collate "C" not null,
    code text collate "C" not null,
    rejections bigint not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    last jsonb not null,
    primary key (project, key, sdk, code, part)
) with (fillfactor = 50);
