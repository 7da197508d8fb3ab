-- A mess that has grown for four months: 6 000 tasks in every state, times in the two forms that the application's
-- libraries write, a few that nobody can read, and messages nobody cleaned up.

insert into planners (planner_id, status, user_question, created_at, updated_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 200)
select 'planner-' || i, case when i % 5 = 0 then 'running' else 'completed' end, 'question ' || i,
       datetime('now', '-' || (i % 120) || ' days'), datetime('now', '-' || (i % 120) || ' days', '+1 hour')
from n;

insert into workers (worker_id, planner_id, status, created_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 600)
select 'worker-' || i, 'planner-' || (1 + i % 220), 'completed', datetime('now', '-' || (i % 120) || ' days')
from n;

insert into planner_messages (planner_id, role, content, created_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
select 'planner-' || (1 + i % 220), case i % 2 when 0 then 'user' else 'assistant' end, 'message ' || i,
       datetime('now', '-' || (i % 120) || ' days')
from n;

insert into task_queue (task_id, entity_type, entity_id, function_name, payload, status, error_message, retry_count, created_at, updated_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 6000),
task as (
  select i,
         case when i % 10 < 6 then 'COMPLETED' when i % 10 < 8 then 'FAILED' when i % 10 = 8 then 'PENDING' else 'IN_PROGRESS' end as status,
         -- Python writes a T, SQLite a blank
         case i % 3 when 0 then '%Y-%m-%dT%H:%M:%f' else '%Y-%m-%d %H:%M:%S' end as form,
         '-' || (i % 120) || ' days' as age
  from n
)
select printf('task-%05d', i), case i % 2 when 0 then 'planner' else 'worker' end, 'planner-' || (1 + i % 200),
       case i % 4 when 0 then 'plan' when 1 then 'execute' when 2 then 'review' else 'summarise' end,
       json_object('step', i), status,
       case when status = 'FAILED' then 'timeout after 30 s' end,
       case when status = 'FAILED' then i % 4 else 0 end,
       strftime(form, 'now', age, '-10 minutes'), strftime(form, 'now', age)
from task;

-- Times that nobody can read are counted and left alone.
update task_queue set updated_at = 'unknown' where task_id in ('task-00011', 'task-00121', 'task-00231');

-- Thirty planners have files in the store `collaterals`; some rows name them relative to the store, some relative to their own
-- folder. Nine workers read files that only they refer to.
update planners set
  variable_file_paths = json_object('answer', planner_id || '/variables/answer.pkl', 'table', 'variables/table.pkl'),
  image_file_paths = json_object('chart', planner_id || '/images/chart.b64')
where cast(substr(planner_id, 9) as integer) <= 30;

update workers set input_variable_filepaths = json_object('inputs', json_array(planner_id || '/variables/input.pkl'))
where cast(substr(worker_id, 8) as integer) between 1 and 9;

-- Sixty planners have their plan in the old form, a list in markdown. A few were given the new form in place of it, and a few
-- write their lists in other ways.
update planners set execution_plan = case
    when cast(substr(planner_id, 9) as integer) % 20 = 3 then '{"user_question": "?", "overall_plan": "", "tasks": []}'
    when cast(substr(planner_id, 9) as integer) % 20 = 7 then 'Plan:' || char(10) || '* look' || char(10) || '1. think' || char(10) || '[x] done'
    else '# Plan of ' || planner_id || char(10) || char(10) || '- collect the figures' || char(10) || '- compare them' || char(10)
         || '  with those of last year' || char(10) || '- write the summary  ' || char(10) || 'That is all.'
  end
where cast(substr(planner_id, 9) as integer) between 101 and 160;
