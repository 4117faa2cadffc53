-- Topics whose records history holds beyond any log: the topic was made anew or lost its end. A recount of
-- such a part comes from history.
create table gateway.outlived (
    topic text not null,
    part smallint not null,
    outlived_at timestamptz not null default now(),
    primary key (topic, part)
);
