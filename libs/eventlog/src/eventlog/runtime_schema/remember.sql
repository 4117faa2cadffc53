with input as (
    select i.index, i.part, i.hash, i.day, i.imported
    from unnest($2::smallint[], $3::bytea[], $4::date[], $5::boolean[])
        with ordinality as i(part, hash, day, imported, index)
),
known as materialized (
    select i.index
    from input i
    where exists (
        select from runtime.seen s
        where s.grp = $1 and s.part = i.part and s.hash = i.hash and s.day >= i.day - $6::integer
    ) or exists (
        select from runtime.seen_import s
        where s.grp = $1 and s.part = i.part and s.hash = i.hash
    )
),
fresh as materialized (
    select i.* from input i where not exists (select from known k where k.index = i.index)
),
live as (
    insert into runtime.seen (grp, part, hash, day)
    select $1, f.part, f.hash, f.day from fresh f where not f.imported
),
imported as (
    insert into runtime.seen_import (grp, part, hash)
    select $1, f.part, f.hash from fresh f where f.imported
)
select k.index from known k
