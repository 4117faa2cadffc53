-- Activities of the last two hours by minute; pruned, so that a page's last hour is cheap. For that reason
-- `footfall verify` leaves it out: what a recount would find there depends on when it is asked.
create table gateway.activity_minute (
    part smallint not null,
    project text not null,
    minute timestamptz not null,
    activities bigint not null,
    primary key (project, minute, part)
) with (fillfactor = 50);

-- What each person did in each account, '' being none. Events that are no activity stand under the action ''
-- with no activities: they make somebody a member of the account, and known.
create table gateway.person_action (
    part smallint not null,
    project text not null,
    account text collate "C" not null,
    subject text collate "C" not null,
    action text collate "C" not null,
    activities bigint not null,
    first_seen timestamptz not null,
    last_seen timestamptz not null,
    primary key (project, account, subject, action, part)
) with (fillfactor = 70);

-- Days in the project's time zone, as those of active_day; rebuilt when the zone changes.
create table gateway.account_day (
    part smallint not null,
    project text not null,
    account text collate "C" not null,
    day date not null,
    activities bigint not null,
    primary key (project, account, day, part)
) with (fillfactor = 70);

-- Waits for a projector's last transaction and keeps out the next, so that history is all that was counted.
lock table gateway.account_person in access exclusive mode;

insert into gateway.activity_minute (part, project, minute, activities)
select part, project, date_trunc('minute', occurred_at), count(*)
from gateway.history
where occurred_at > now() - interval '2 hours' and kind in ('track', 'page', 'screen')
group by 1, 2, 3;

insert into gateway.person_action (part, project, account, subject, action, activities, first_seen, last_seen)
select part, project, account, subject, counted.action, sum(counted.activities), min(occurred_at), max(occurred_at)
from gateway.history, lateral (
    select case when kind in ('track', 'page', 'screen') then action else '' end as action,
        case when kind in ('track', 'page', 'screen') then 1 else 0 end as activities
) as counted
where left(subject, 2) in ('u:', 'a:')
group by part, project, account, subject, counted.action;

insert into gateway.account_day (part, project, account, day, activities)
select h.part, h.project, h.account, (h.occurred_at at time zone d.time_zone)::date, count(*)
from gateway.history h join gateway.derivation d on d.part = h.part and d.project = h.project
where h.account <> '' and h.kind in ('track', 'page', 'screen')
group by 1, 2, 3, 4;

create index person_action_by_subject on gateway.person_action (project, subject);

drop table gateway.account_person;
