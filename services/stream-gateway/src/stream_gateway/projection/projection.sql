with quarters as (
    insert into gateway.activity_quarter as t (part, project, quarter, account, action, activities)
    select * from unnest($1::smallint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[])
    on conflict (project, quarter, account, action, part)
        do update set activities = t.activities + excluded.activities
),
account_actions as (
    insert into gateway.account_action as t
        (part, project, account, action, activities, first_seen, last_seen)
    select * from unnest($7::smallint[], $8::text[], $9::text[], $10::text[], $11::bigint[],
                         $12::timestamptz[], $13::timestamptz[])
    on conflict (project, account, action, part)
        do update set activities = t.activities + excluded.activities,
            first_seen = least(t.first_seen, excluded.first_seen),
            last_seen = greatest(t.last_seen, excluded.last_seen)
),
accounts as (
    insert into gateway.account as t (part, project, account, activities, first_seen, last_seen)
    select * from unnest($14::smallint[], $15::text[], $16::text[], $17::bigint[],
                         $18::timestamptz[], $19::timestamptz[])
    on conflict (project, account, part)
        do update set activities = t.activities + excluded.activities,
            first_seen = least(t.first_seen, excluded.first_seen),
            last_seen = greatest(t.last_seen, excluded.last_seen)
),
people as (
    insert into gateway.person as t (part, project, subject, activities, first_seen, last_seen)
    select * from unnest($20::smallint[], $21::text[], $22::text[], $23::bigint[],
                         $24::timestamptz[], $25::timestamptz[])
    on conflict (project, subject, part)
        do update set activities = t.activities + excluded.activities,
            first_seen = least(t.first_seen, excluded.first_seen),
            last_seen = greatest(t.last_seen, excluded.last_seen)
),
person_actions as (
    insert into gateway.person_action as t
        (part, project, account, subject, action, activities, first_seen, last_seen)
    select * from unnest($26::smallint[], $27::text[], $28::text[], $29::text[], $30::text[], $31::bigint[],
                         $32::timestamptz[], $33::timestamptz[])
    on conflict (project, account, subject, action, part)
        do update set activities = t.activities + excluded.activities,
            first_seen = least(t.first_seen, excluded.first_seen),
            last_seen = greatest(t.last_seen, excluded.last_seen)
),
days as (
    insert into gateway.active_day (part, project, day, subject)
    select * from unnest($34::smallint[], $35::text[], $36::date[], $37::text[])
    on conflict do nothing
),
minutes as (
    insert into gateway.activity_minute as t (part, project, minute, activities)
    select * from unnest($38::smallint[], $39::text[], $40::timestamptz[], $41::bigint[])
    on conflict (project, minute, part) do update set activities = t.activities + excluded.activities
),
account_days as (
    insert into gateway.account_day as t (part, project, account, day, activities)
    select * from unnest($42::smallint[], $43::text[], $44::text[], $45::date[], $46::bigint[])
    on conflict (project, account, day, part) do update set activities = t.activities + excluded.activities
)
insert into gateway.active_now as t (part, project, subject, last_at)
select * from unnest($47::smallint[], $48::text[], $49::text[], $50::timestamptz[])
on conflict (project, subject, part) do update set last_at = greatest(t.last_at, excluded.last_at)
