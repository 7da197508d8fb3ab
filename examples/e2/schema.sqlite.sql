-- E2: a learning platform, on SQLite. No keys are enforced on the relations that its orphan rules mend.

create table users (
  id integer primary key,
  email text not null unique,
  status text not null default 'active' check (status in ('active', 'inactive', 'suspended', 'archived')),
  suspended_at text,
  last_login_at text,
  created_at text not null default current_timestamp
);
create table courses (id integer primary key, title text not null, status text not null default 'active' check (status in ('active', 'retired')));
create table lessons (id integer primary key, course_id integer not null, title text not null, deleted_at text);
create table lesson_prerequisites (lesson_id integer not null, prerequisite_id integer not null, primary key (lesson_id, prerequisite_id));
create table achievements (id integer primary key, user_id integer not null, course_id integer, name text not null, earned_at text not null);
create table lesson_progress (
  id integer primary key,
  user_id integer not null,
  lesson_id integer not null,
  percent integer not null default 0 check (percent between 0 and 100),
  updated_at text not null,
  unique (user_id, lesson_id)
);
create table leaderboard_entries (
  id integer primary key,
  user_id integer not null,
  period text not null,
  points integer not null default 0,
  updated_at text not null,
  unique (user_id, period)
);
create table refresh_tokens (id integer primary key, user_id integer not null, token_hash text not null unique, expires_at text not null, revoked_at text);
create table sessions (id text primary key not null, user_id integer not null, expires_at text not null);
create table api_logs (
  id integer primary key,
  user_id integer,
  method text not null,
  path text not null,
  status_code integer not null,
  duration_ms integer,
  created_at text not null default current_timestamp
);
create table cache_entries (
  cache_key text primary key not null,
  value text check (value is null or json_valid(value)),
  source_table text,
  source_id integer,
  source_updated_at text,
  is_valid integer not null default 1,
  created_at text not null default current_timestamp,
  expires_at text
);
create table uploads (
  id integer primary key,
  user_id integer not null,
  path text not null unique,
  size_bytes integer not null,
  status text not null default 'temporary' check (status in ('temporary', 'attached')),
  created_at text not null default current_timestamp
);
create table archived_accounts (user_id integer primary key, archived_at text not null, data text not null check (json_valid(data)));

create index lessons_course on lessons (course_id);
create index prerequisites_other on lesson_prerequisites (prerequisite_id);
create index achievements_user on achievements (user_id);
create index achievements_course on achievements (course_id);
create index progress_lesson on lesson_progress (lesson_id);
create index tokens_user on refresh_tokens (user_id);
create index tokens_expiry on refresh_tokens (expires_at);
create index sessions_user on sessions (user_id);
create index sessions_expiry on sessions (expires_at);
create index api_logs_created on api_logs (created_at);
create index cache_expiry on cache_entries (expires_at);
create index uploads_user on uploads (user_id);
