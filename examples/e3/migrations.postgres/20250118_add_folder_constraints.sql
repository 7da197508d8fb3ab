-- sexton:description one root folder per application, one name per parent, one application per tree
-- sexton:assert-before

select count(*) = 0, 'folders of these applications must be merged first: ' || string_agg(distinct application_id::text, ', ')
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

create unique index folders_one_root on folders (application_id) where parent_id is null;
create unique index folders_one_name on folders (parent_id, name) where parent_id is not null;
-- a check cannot look at another row: child and parent agree because the key they share holds the application
alter table folders add constraint folders_id_application unique (id, application_id);
alter table folders add constraint folders_parent_application
  foreign key (parent_id, application_id) references folders (id, application_id);
alter table folders add constraint folders_not_own_parent check (parent_id <> id);

-- sexton:down

alter table folders drop constraint folders_not_own_parent;
alter table folders drop constraint folders_parent_application;
alter table folders drop constraint folders_id_application;
drop index folders_one_name;
drop index folders_one_root;
