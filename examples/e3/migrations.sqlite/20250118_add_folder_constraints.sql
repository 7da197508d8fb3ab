-- sexton:description one root folder per application, one name per parent, one application per tree
-- sexton:assert-before

select count(*) = 0, 'folders of these applications must be merged first: ' || group_concat(distinct application_id)
from (
  select application_id from folders where parent_id is null group by application_id having count(*) > 1
  union all
  select min(application_id) from folders where parent_id is not null group by parent_id, name having count(*) > 1
  union all
  select c.application_id from folders as c join folders as p on p.id = c.parent_id and p.application_id <> c.application_id
  union all
  select application_id from folders where parent_id = id
) as bad;

-- sexton:up

-- a foreign key and a check can only be added by making the table anew; its indexes are made again by themselves
-- sexton:rebuild folders
create table folders (
  id integer primary key,
  application_id integer not null references applications (id),
  parent_id integer check (parent_id <> id),
  name text not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  unique (id, application_id),
  -- a check cannot look at another row: child and parent agree because the key they share holds the application
  foreign key (parent_id, application_id) references folders (id, application_id)
);
create unique index folders_one_root on folders (application_id) where parent_id is null;
create unique index folders_one_name on folders (parent_id, name) where parent_id is not null;

-- sexton:down

drop index folders_one_name;
drop index folders_one_root;
-- sexton:rebuild folders
create table folders (
  id integer primary key,
  application_id integer not null references applications (id),
  parent_id integer references folders (id),
  name text not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
