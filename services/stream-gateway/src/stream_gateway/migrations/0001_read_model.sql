-- Every row has one writer, the owner of its log partition `part`; readers sum over parts.
-- '' stands for no account.

create table gateway.history (
    part smallint not null,
    seq bigint generated always as identity,
    project text not null,
    occurred_at timestamptz not null,
    subject text collate "C" not null,
    account text collate "C" not null,
    kind text not null,
    action text collate "C" not null,
    origin text not null,
    id text not null,
    event text not null,
    primary key (part, seq, occurred_at)
) partition by range (occurred_at);

create index history_by_time on gateway.history (project, occurred_at, seq);
create index history_by_account on gateway.history (project, account, occurred_at, seq);
create index history_by_subject on gateway.history (project, subject, occurred_at, seq);
create index history_by_id on gateway.history using hash (id);

create table gateway.activity_quarter (
    part smallint not null,
    project text not null,
    quarter timestamptz not null,
    account text collate "C" not null,
    action text collate "C" not null,
    activities bigint not null,
    primary key (project, quarter, account, action, part)
) with (fillfactor = 80);

create index activity_quarter_by_account on gateway.activity_quarter (project, account, quarter);

create table gateway.account_action (
    part smallint not null,
    project text not null,
    account text collate "C" not null,
    action text collate "C" not null,
    activities bigint not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    primary key (project, account, action, part)
) with (fillfactor = 70);

create table gateway.account (
    part smallint not null,
    project text not null,
    account text collate "C" not null,
    activities bigint not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    traits jsonb,
    traits_at timestamptz,
    primary key (project, account, part)
) with (fillfactor = 70);

create table gateway.person (
    part smallint not null,
    project text not null,
    subject text collate "C" not null,
    activities bigint not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    traits jsonb,
    traits_at timestamptz,
    primary key (project, subject, part)
) with (fillfactor = 70);

create table gateway.account_person (
    part smallint not null,
    project text not null,
    account text collate "C" not null,
    subject text collate "C" not null,
    activities bigint not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    primary key (project, account, subject, part)
) with (fillfactor = 70);

create index account_person_by_subject on gateway.account_person (project, subject);

-- Days in the project's time zone; rebuilt when the zone changes.
create table gateway.active_day (
    part smallint not null,
    project text not null,
    day date not null,
    subject text collate "C" not null,
    primary key (project, day, subject, part)
);

-- The last live activity of whoever was active lately; pruned, so that counting it is cheap.
create table gateway.active_now (
    part smallint not null,
    project text not null,
    subject text collate "C" not null,
    last_at timestamptz not null,
    primary key (project, subject, part)
) with (fillfactor = 50);

-- A subject's first activity that the project calls a trial sign-up; rebuilt when the settings change.
create table gateway.trial_signup (
    part smallint not null,
    project text not null,
    subject text collate "C" not null,
    account text collate "C" not null,
    action text collate "C" not null,
    occurred_at timestamptz not null,
    primary key (project, subject, part)
);

create index trial_signup_by_time on gateway.trial_signup (project, occurred_at);

-- Projected records that no stream shows: repeats and what was set aside.
create table gateway.unshown (
    topic text not null,
    part smallint not null,
    off bigint not null,
    recorded_at timestamptz not null,
    primary key (topic, part, off)
);

-- The settings under which the derived rows of a project's part were made.
create table gateway.derivation (
    part smallint not null,
    project text not null,
    time_zone text not null,
    trial_actions text[] not null,
    primary key (project, part)
);
