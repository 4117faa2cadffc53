-- Which id was seen to be which user's, since when, and by which event: one row for each pair, written by the
-- owner of the user's part. Of a user the first 500 are kept (`projection.links`). Whose an id is, is decided
-- when reading: of several users, the first one's.

create table gateway.link (
    part smallint not null,
    project text not null,
    subject text collate "C" not null,
    belongs_to text collate "C" not null,
    linked_at timestamptz not null,
    id text collate "C" not null,
    primary key (project, subject, belongs_to, part)
) with (fillfactor = 80);

create index link_by_time on gateway.link (project, subject, linked_at, id, belongs_to);
create index link_by_user on gateway.link (project, belongs_to, linked_at, id, subject);

-- The subject under which the person is known whom this subject belongs to: itself, where it belongs to nobody
-- else. Where users were made part of each other in a circle, the circle's last link is void; a user who is more
-- than 20 links away from the last one belongs to nobody.
create function gateway.person_of(of_project text, of_subject text) returns text
language plpgsql stable parallel safe cost 1000 as $$
declare
    path text[] := array[of_subject];
    following text;
begin
    loop
        select l.belongs_to into following from gateway.link as l
            where l.project = of_project and l.subject = path[cardinality(path)]
            order by l.linked_at, l.id, l.belongs_to limit 1;
        if following is null then
            return path[cardinality(path)];
        elsif left(of_subject, 2) = 'a:' then
            return gateway.person_of(of_project, following);
        end if;
        exit when following = any(path);
        if cardinality(path) > 20 then
            return of_subject;
        end if;
        path := path || following;
    end loop;
    path := path[array_position(path, following):];
    return (
        select c.subject from unnest(path) as c(subject) cross join lateral (
            select l.linked_at, l.id, l.belongs_to from gateway.link as l
            where l.project = of_project and l.subject = c.subject
            order by l.linked_at, l.id, l.belongs_to limit 1
        ) as f
        order by f.linked_at desc, f.id desc, f.belongs_to desc limit 1
    );
end
$$;

-- A subject and those that belong to it, directly or through others: the nearest 500, the nearest first.
create function gateway.ids_of(of_project text, of_subject text) returns setof text
language sql stable parallel safe rows 3 as $$
    with recursive found(subject) as (
        select of_subject collate "C"
        union
        select m.subject from found cross join lateral (
            select l.subject from gateway.link as l
            where l.project = of_project and l.belongs_to = found.subject and not exists (
                select from gateway.link as f where f.project = of_project and f.subject = l.subject
                    and (f.linked_at, f.id, f.belongs_to) < (l.linked_at, l.id, l.belongs_to)
            )
            offset 0
        ) as m
        where left(m.subject, 2) = 'a:' or gateway.person_of(of_project, m.subject) <> m.subject
    )
    select subject from found limit 500
$$;

-- Waits for a projector's last transaction and keeps out the next, so that history is all that was counted.
lock table gateway.person in share row exclusive mode;

insert into gateway.link (part, project, subject, belongs_to, linked_at, id)
select part, project, subject, belongs_to, occurred_at, id
from (
    select first.*, row_number() over (partition by project, belongs_to order by occurred_at, id, subject) as place
    from (
        select distinct on (h.project, l.subject, h.subject)
            h.part, h.project, l.subject, h.subject as belongs_to, h.occurred_at, h.id
        from (
            select *, event::json as fields from gateway.history
            where left(subject, 2) = 'u:'
                and (strpos(event, '"anonymous_id"') > 0 or (kind = 'alias' and strpos(event, '"previous_id"') > 0))
                -- No event that was admitted has one of these, and they could not be read.
                and event !~ '\\u(0000|[dD][89a-fA-F])'
        ) as h cross join lateral (values
            ('a:' || (h.fields ->> 'anonymous_id')),
            ('a:' || case when h.kind = 'alias' then h.fields ->> 'previous_id' end),
            ('u:' || case when h.kind = 'alias' then h.fields ->> 'previous_id' end)
        ) as l(subject)
        where l.subject is not null and l.subject <> h.subject
        order by h.project, l.subject, h.subject, h.occurred_at, h.id collate "C"
    ) as first
) as placed
where place <= 500;
