-- What became of the live events of each source that the log took, by the hour of `received_at`; 90 days.
create table gateway.source_hour (
    part smallint not null,
    project text not null,
    hour timestamptz not null,
    key text collate "C" not null,
    sdk text collate "C" not null,
    stored bigint not null,
    duplicates bigint not null,
    set_aside bigint not null,
    primary key (project, hour, key, sdk, part)
) with (fillfactor = 50);
