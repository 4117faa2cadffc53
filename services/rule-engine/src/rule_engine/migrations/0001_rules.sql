-- One row. n rises in the transaction of every change of rules that running engines must learn of.
create table rules.version (
    one boolean primary key default true check (one),
    n   bigint not null
);
insert into rules.version (n) values (1);

-- Versions never change; replacing a rule adds one. At most one version of a name is active.
create table rules.rule (
    project    text not null,
    name       text not null,
    version    integer not null,
    text       text not null,
    mode       text not null check (mode in ('live', 'shadow', 'off')),
    active     boolean not null,
    created_at timestamptz not null default now(),
    primary key (project, name, version)
);
create unique index rule_active on rules.rule (project, name) where active;

-- A trigger, so that a change by hand reaches the running engines too.
create function rules.raise_version() returns trigger language plpgsql as $$
begin
    update rules.version set n = n + 1;
    return null;
end
$$;
create trigger raise_version after insert or update or delete or truncate on rules.rule
    for each statement execute function rules.raise_version();

-- What the rules did, and what they would have done. `key` is the same however often an event is applied.
create table rules.action (
    part         smallint not null,
    project      text not null,
    key          bytea not null check (length(key) = 32),
    rule         text not null,
    rule_version integer not null,
    type         text not null,
    subject      text not null,
    user_id      text,
    anonymous_id text,
    account      text,
    event_id     text not null,
    event_action text not null,
    note         text not null,
    status       text not null check (status in ('sent', 'suppressed')),
    reason       text check ((status = 'suppressed') = (reason is not null)),
    occurred_at  timestamptz not null,
    received_at  timestamptz not null,
    recorded_at  timestamptz not null,
    primary key (part, project, key)
);
-- Newest first, for one project and for the filters of GET /v1/actions.
create index action_newest on rules.action (project, recorded_at desc, key desc);
create index action_rule on rules.action (project, rule, recorded_at desc, key desc);
create index action_user on rules.action (project, user_id, recorded_at desc, key desc) where user_id is not null;
create index action_account on rules.action (project, account, recorded_at desc, key desc) where account is not null;

-- Records on their way to footfall.actions, in order by part; a row goes when its record is durable there.
create table rules.outbox (
    part    smallint not null,
    seq     bigint generated always as identity,
    project text not null,
    key     bytea not null,
    value   bytea not null,
    primary key (part, seq)
);
