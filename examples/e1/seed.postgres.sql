-- 40 000 audit rows over 130 days, 12 000 task logs over 60, failed tasks over 800, sessions either side of now.
insert into core_auditlog (created_at, user_id, action, target_type, target_id, details)
select now() - make_interval(days => i % 130, hours => 1), i % 500, 'update', 'page', i, jsonb_build_object('n', i)
from generate_series(1, 40000) i;
insert into core_taskexecutionlog (task_name, status, started_at, duration_seconds, result)
select 'task_' || (i % 12), case when i % 20 = 0 then 'failed' else 'success' end,
       now() - make_interval(days => i % 60, hours => 1), i % 90 / 10.0, jsonb_build_object('n', i)
from generate_series(1, 12000) i;
insert into core_failedtask (task_name, task_id, status, error_message, failed_at, archived_at)
select 'task_' || (i % 12), 'id-' || i, case when i % 5 = 0 then 'archived' else 'failed' end, 'timeout',
       now() - make_interval(days => i % 800, hours => 1),
       case when i % 5 = 0 then now() - make_interval(days => i % 800 - 2) end
from generate_series(1, 4000) i;
update core_failedtask set is_deleted = true, deleted_at = failed_at where id % 17 = 0;
insert into django_session (session_key, session_data, expire_date)
select lpad(to_hex(i), 32, '0'), 'data', now() + make_interval(days => i % 28 - 14, hours => 1)
from generate_series(1, 3000) i;
refresh materialized view mv_task_daily;
refresh materialized view mv_audit_actions;
