with written as (
    insert into gateway.history (part, project, occurred_at, subject, account, kind, action, origin, id, event)
    select * from unnest($1::smallint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
                         $7::text[], $8::text[], $9::text[], $10::text[])
),
quarters as (
    insert into gateway.activity_quarter as t (part, project, quarter, account, action, activities)
    select * from unnest($11::smallint[], $12::text[], $13::timestamptz[], $14::text[], $15::text[], $16::bigint[])
    on conflict (project, quarter, account, action, part)
        do update set activities = t.activities + excluded.activities
),
account_actions as (
    insert into gateway.account_action as t
        (part, project, account, action, activities, first_seen, last_seen)
    select * from unnest($17::smallint[], $18::text[], $19::text[], $20::text[], $21::bigint[],
                         $22::timestamptz[], $23::timestamptz[])
    on conflict (project, account, action, part)
        do update set activities = t.activities + excluded.activities,
            first_seen = least(t.first_seen, excluded.first_seen),
            last_seen = greatest(t.last_seen, excluded.last_seen)
),
accounts as (
    insert into gateway.account as t (part, project, account, activities, first_seen, last_seen)
    select * from unnest($24::smallint[], $25::text[], $26::text[], $27::bigint[],
                         $28::timestamptz[], $29::timestamptz[])
    on conflict (project, account, part)
        do update set activities = t.activities + excluded.activities,
            first_seen = least(t.first_seen, excluded.first_seen),
            last_seen = greatest(t.last_seen, excluded.last_seen)
),
people as (
    insert into gateway.person as t (part, project, subject, activities, first_seen, last_seen)
    select * from unnest($30::smallint[], $31::text[], $32::text[], $33::bigint[],
                         $34::timestamptz[], $35::timestamptz[])
    on conflict (project, subject, part)
        do update set activities = t.activities + excluded.activities,
            first_seen = least(t.first_seen, excluded.first_seen),
            last_seen = greatest(t.last_seen, excluded.last_seen)
),
account_people as (
    insert into gateway.account_person as t
        (part, project, account, subject, activities, first_seen, last_seen)
    select * from unnest($36::smallint[], $37::text[], $38::text[], $39::text[], $40::bigint[],
                         $41::timestamptz[], $42::timestamptz[])
    on conflict (project, account, subject, part)
        do update set activities = t.activities + excluded.activities,
            first_seen = least(t.first_seen, excluded.first_seen),
            last_seen = greatest(t.last_seen, excluded.last_seen)
),
days as (
    insert into gateway.active_day (part, project, day, subject)
    select * from unnest($43::smallint[], $44::text[], $45::date[], $46::text[])
    on conflict do nothing
)
insert into gateway.active_now as t (part, project, subject, last_at)
select * from unnest($47::smallint[], $48::text[], $49::text[], $50::timestamptz[])
on conflict (project, subject, part) do update set last_at = greatest(t.last_at, excluded.last_at)
