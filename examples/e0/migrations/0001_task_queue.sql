-- sexton:description task queue table and file path columns
-- sexton:up

create table task_queue (
  task_id text primary key,
  entity_type text not null check (entity_type in ('planner', 'worker')),
  entity_id text not null,
  function_name text not null,
  payload json,
  status text not null default 'PENDING' check (status in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED')),
  error_message text,
  retry_count integer not null default 0 check (retry_count >= 0),
  max_retries integer not null default 3 check (max_retries >= 0),
  created_at timestamp not null default current_timestamp,
  updated_at timestamp not null default current_timestamp
);
create index idx_task_queue_status_created on task_queue (status, created_at);
create index idx_task_queue_entity on task_queue (entity_type, entity_id);

alter table planners add column variable_file_paths json default '{}';
alter table planners add column image_file_paths json default '{}';
alter table planners add column next_task text;

alter table workers add column input_variable_filepaths json default '{}';
alter table workers add column input_image_filepaths json default '{}';
alter table workers add column output_variable_filepaths json default '{}';
alter table workers add column output_image_filepaths json default '{}';

-- sexton:down

alter table workers drop column output_image_filepaths;
alter table workers drop column output_variable_filepaths;
alter table workers drop column input_image_filepaths;
alter table workers drop column input_variable_filepaths;
alter table planners drop column next_task;
alter table planners drop column image_file_paths;
alter table planners drop column variable_file_paths;
drop table task_queue;
