-- 40 000 audit rows over 130 days, 12 000 task logs over 60, failed tasks over 800, sessions either side of now.
insert into core_auditlog (created_at, user_id, action, target_type, target_id, details)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000)
select datetime('now', '-' || (i % 130) || ' days', '-1 hour'), i % 500, 'update', 'page', i, json_object('n', i) from n;
insert into core_taskexecutionlog (task_name, status, started_at, duration_seconds, result)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 12000)
select 'task_' || (i % 12), case when i % 20 = 0 then 'failed' else 'success' end,
       datetime('now', '-' || (i % 60) || ' days', '-1 hour'), i % 90 / 10.0, json_object('n', i) from n;
insert into core_failedtask (task_name, task_id, status, error_message, failed_at, archived_at)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000)
select 'task_' || (i % 12), 'id-' || i, case when i % 5 = 0 then 'archived' else 'failed' end, 'timeout',
       datetime('now', '-' || (i % 800) || ' days', '-1 hour'),
       case when i % 5 = 0 then datetime('now', '-' || (i % 800 - 2) || ' days') end from n;
update core_failedtask set is_deleted = 1, deleted_at = failed_at where id % 17 = 0;
insert into django_session (session_key, session_data, expire_date)
with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000)
select printf('%032x', i), 'data', datetime('now', (i % 28 - 14) || ' days', '+1 hour') from n;
