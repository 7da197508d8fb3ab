-- E1: the tables that a web application's nine-operation maintenance looks after, on SQLite.

create table core_auditlog (
  id integer primary key,
  created_at text not null default current_timestamp,
  user_id integer,
  action text not null,
  target_type text,
  target_id text,
  details text check (details is null or json_valid(details)),
  ip_address text
);
create index core_auditlog_created_at on core_auditlog (created_at);

create table core_taskexecutionlog (
  id integer primary key,
  task_name text not null,
  status text not null check (status in ('running', 'success', 'failed', 'skipped')),
  started_at text not null,
  finished_at text,
  duration_seconds real,
  result text check (result is null or json_valid(result)),
  error text
);
create index core_taskexecutionlog_task on core_taskexecutionlog (task_name, started_at);

create table core_failedtask (
  id integer primary key,
  task_name text not null,
  task_id text not null unique,
  status text not null default 'failed' check (status in ('failed', 'retrying', 'resolved', 'archived')),
  error_message text,
  args text check (args is null or json_valid(args)),
  failed_at text not null,
  archived_at text,
  is_deleted integer not null default 0,
  deleted_at text
);
create index core_failedtask_status on core_failedtask (status, failed_at);

create table django_session (session_key text primary key not null, session_data text not null, expire_date text not null);
create index django_session_expire on django_session (expire_date);
