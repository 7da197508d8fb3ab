-- E0 before its first migration: planners and workers with their messages, in use for a while.

create table planners (
  planner_id text primary key,
  execution_plan text,
  status text,
  user_question text,
  created_at timestamp,
  updated_at timestamp
);

create table workers (
  worker_id text primary key,
  planner_id text,
  status text,
  created_at timestamp
);

create table routers (router_id text primary key, status text, created_at timestamp);
create table planner_messages (message_id integer primary key, planner_id text, role text, content text, created_at timestamp);
create table worker_messages (message_id integer primary key, worker_id text, role text, content text, created_at timestamp);
create table router_messages (message_id integer primary key, router_id text, role text, content text, created_at timestamp);

insert into planners (planner_id, status, user_question)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20)
select 'planner-' || i, 'completed', 'question ' || i from n;

insert into workers (worker_id, planner_id, status)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60)
select 'worker-' || i, 'planner-' || (1 + i % 20), 'completed' from n;
