-- Keep the actions not yet kept, and put those that are sent into the outbox, in the order given.
with input as (
    select *
    from unnest(
        $1::smallint[], $2::text[], $3::bytea[], $4::text[], $5::integer[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
        $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::bytea[], $20::bytea[]
    ) with ordinality as i (
        part, project, key, rule, rule_version, type, subject, user_id,
        anonymous_id, account, event_id, event_action, note, status, reason,
        occurred_at, received_at, recorded_at, record_key, record_value, place
    )
),
kept as (
    insert into rules.action (
        part, project, key, rule, rule_version, type, subject, user_id,
        anonymous_id, account, event_id, event_action, note, status, reason,
        occurred_at, received_at, recorded_at
    )
    select
        part, project, key, rule, rule_version, type, subject, user_id,
        anonymous_id, account, event_id, event_action, note, status, reason,
        occurred_at, received_at, recorded_at
    from input
    order by place
    on conflict do nothing
    returning part, project, key
),
posted as (
    insert into rules.outbox (part, project, key, value)
    select i.part, i.project, i.record_key, i.record_value
    from input i
    join kept k on k.part = i.part and k.project = i.project and k.key = i.key
    where i.status = 'sent'
    order by i.place
)
select i.rule_version, i.reason
from input i
join kept k on k.part = i.part and k.project = i.project and k.key = i.key
