-- What a plan set aside was answered as taken: more of it is kept than of what was refused.
alter table gateway.rejected add column quarantined boolean not null default false;

update gateway.rejected set quarantined = true where record::jsonb @> '{"quarantined": true}';

drop index gateway.rejected_by_part;
create index rejected_by_part on gateway.rejected (part, project, quarantined, received_at, seq);
