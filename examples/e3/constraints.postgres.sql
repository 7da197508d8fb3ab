-- What prevents new duplicates (20250118_add_folder_constraints), for PostgreSQL. It is refused, and nothing is changed, while there are duplicates.

begin;

lock table folders in share row exclusive mode;

do $$
declare
  offenders text;
begin
  select string_agg(distinct application_id::text, ', ')
  into offenders
  from (
    select application_id from folders where parent_id is null group by application_id having count(*) > 1
    union all
    select min(application_id) from folders where parent_id is not null group by parent_id, name having count(*) > 1
    union all
    select c.application_id from folders as c join folders as p on p.id = c.parent_id and p.application_id <> c.application_id
    union all
    select application_id from folders where parent_id = id
  ) as bad;
  if offenders is not null then
    raise exception 'folders of these applications must be merged first: %', offenders
      using hint = 'sexton run cleanup';
  end if;
end
$$;

create unique index folders_one_root on folders (application_id) where parent_id is null;
create unique index folders_one_name on folders (parent_id, name) where parent_id is not null;

-- a check cannot look at another row: child and parent agree because the key they share holds the application
alter table folders add constraint folders_id_application unique (id, application_id);
alter table folders add constraint folders_parent_application
  foreign key (parent_id, application_id) references folders (id, application_id);
alter table folders add constraint folders_not_own_parent check (parent_id <> id);

commit;
