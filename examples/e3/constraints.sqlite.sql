-- What prevents new duplicates (20250118_add_folder_constraints), for SQLite. It is refused, and nothing is changed, while there are duplicates.
-- Run it with `sqlite3 -bail app.db < constraints.sqlite.sql`: it stops at the first error.

pragma foreign_keys = off;

begin immediate;

-- A trigger can raise a message made of data only since SQLite 3.47; a path that is none is quoted by every version with JSON.
select json_extract('{}', 'folders of these applications must be merged first: ' || applications)
from (
  select group_concat(distinct application_id) as applications
  from (
    select application_id from folders where parent_id is null group by application_id having count(*) > 1
    union all
    select min(application_id) from folders where parent_id is not null group by parent_id, name having count(*) > 1
    union all
    select c.application_id from folders as c join folders as p on p.id = c.parent_id and p.application_id <> c.application_id
    union all
    select application_id from folders where parent_id = id
  )
)
where applications is not null;

-- a foreign key and a check can only be added by making the table anew
create table folders_new (
  id integer primary key,
  application_id integer not null references applications (id),
  parent_id integer check (parent_id <> id),
  name text not null,
  created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  unique (id, application_id),
  -- a check cannot look at another row: child and parent agree because the key they share holds the application
  foreign key (parent_id, application_id) references folders_new (id, application_id)
);
insert into folders_new (id, application_id, parent_id, name, created_at, updated_at)
select id, application_id, parent_id, name, created_at, updated_at from folders;
drop table folders;
alter table folders_new rename to folders;

create index folders_application on folders (application_id);
create index folders_parent on folders (parent_id);
create unique index folders_one_root on folders (application_id) where parent_id is null;
create unique index folders_one_name on folders (parent_id, name) where parent_id is not null;

pragma foreign_key_check;

commit;

pragma foreign_keys = on;
