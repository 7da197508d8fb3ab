-- sexton:description updated_at trigger, monitoring indexes, retry_after
-- sexton:depends 0001_task_queue
-- sexton:up

alter table task_queue add column retry_after timestamp;
create index idx_task_queue_status_updated on task_queue (status, updated_at);
create index idx_task_queue_function on task_queue (function_name);

-- it names the columns whose change it dates, without `updated_at` itself, so that it cannot call itself again
create trigger task_queue_updated_at after update of status, payload, error_message, retry_count on task_queue
for each row when new.updated_at is old.updated_at
begin
  update task_queue set updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now') where task_id = new.task_id;
end;

-- sexton:down

drop trigger task_queue_updated_at;
drop index idx_task_queue_function;
drop index idx_task_queue_status_updated;
alter table task_queue drop column retry_after;
