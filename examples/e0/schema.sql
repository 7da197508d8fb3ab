-- E0: a function-agent system on SQLite, at version 2 of its schema.

create table planners (
  planner_id text primary key,
  execution_plan text,
  status text,
  user_question text,
  created_at timestamp,
  updated_at timestamp,
  variable_file_paths json default '{}',
  image_file_paths json default '{}',
  next_task text
);

create table workers (
  worker_id text primary key,
  planner_id text,
  status text,
  created_at timestamp,
  input_variable_filepaths json default '{}',
  input_image_filepaths json default '{}',
  output_variable_filepaths json default '{}',
  output_image_filepaths json default '{}'
);

create table routers (router_id text primary key, status text, created_at timestamp);
create table planner_messages (message_id integer primary key, planner_id text, role text, content text, created_at timestamp);
create table worker_messages (message_id integer primary key, worker_id text, role text, content text, created_at timestamp);
create table router_messages (message_id integer primary key, router_id text, role text, content text, created_at timestamp);

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
  updated_at timestamp not null default current_timestamp,
  retry_after timestamp
);
create index idx_task_queue_status_created on task_queue (status, created_at);
create index idx_task_queue_entity on task_queue (entity_type, entity_id);
create index idx_task_queue_status_updated on task_queue (status, updated_at);
create index idx_task_queue_function on task_queue (function_name);

create trigger task_queue_updated_at after update of status, payload, error_message, retry_count on task_queue
for each row when new.updated_at is old.updated_at
begin
  update task_queue set updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now') where task_id = new.task_id;
end;

create table migrations (version integer primary key, description text, executed_at timestamp default current_timestamp);
insert into migrations (version, description) values
  (1, 'task queue table and file path columns'),
  (2, 'updated_at trigger, monitoring indexes, retry_after');
