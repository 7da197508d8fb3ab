//! A task queue that is mostly history, with a thousand stale tasks scattered over it, and the bare update that a recovery
//! is measured against.

use super::{Kind, Stage};

/// Stale tasks, whatever the size of the queue.
pub const STALE: u64 = 1_000;

impl Stage {
    /// The name of the queue with so many tasks.
    pub fn queue_name(&self, rows: u64) -> String {
        format!("queue_{rows}")
    }

    /// Makes the queue unless it is there.
    pub fn seed_queue(&self, rows: u64) {
        let name = self.queue_name(rows);
        let (touched, sequence, there) = match self.kind {
            Kind::Sqlite => (
                "datetime('now', '-' || (120 + i % 100000) || ' minutes')",
                format!(
                    "(with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) select i from n)"
                ),
                self.path(&name).exists(),
            ),
            Kind::Postgres => (
                "(now() at time zone 'utc') - make_interval(mins => (120 + i % 100000)::int)",
                format!("generate_series(1, {rows}::bigint) as n(i)"),
                self.value(
                    &self.url("postgres"),
                    &format!("select count(*) from pg_database where datname = '{name}'"),
                ) != "0",
            ),
        };
        if there {
            return;
        }
        let text = if self.kind == Kind::Sqlite { "text" } else { "timestamp" };
        let script = format!(
            "create table task_queue (task_id text primary key, entity_type text not null, function_name text not null,
               status text not null, error_message text, retry_count integer not null default 0,
               max_retries integer not null default 3, created_at {text} not null, updated_at {text} not null, retry_after {text});
             insert into task_queue (task_id, entity_type, function_name, status, created_at, updated_at)
             select 'task-' || i, 'planner', 'function ' || i % 20,
                    case when i % {every} = 7 then 'IN_PROGRESS' when i % 1000 = 3 then 'PENDING' else 'COMPLETED' end,
                    {touched}, {touched}
             from {sequence};
             create index task_queue_created on task_queue (status, created_at);
             create index task_queue_updated on task_queue (status, updated_at);
             create index task_queue_function on task_queue (function_name);",
            every = rows / STALE,
        );
        match self.kind {
            Kind::Sqlite => {
                let making = self.path("making");
                let _ = std::fs::remove_file(&making);
                self.script(
                    "making",
                    &format!("pragma journal_mode = off; pragma synchronous = off; {script} analyze; pragma journal_mode = wal;"),
                );
                std::fs::rename(making, self.path(&name)).unwrap_or_else(|error| panic!("{error}"));
            }
            Kind::Postgres => {
                self.script("postgres", "drop database if exists making");
                self.script("postgres", "create database making");
                self.script("making", &script);
                self.script("making", "vacuum (analyze)");
                self.script("postgres", &format!("alter database making rename to {name}"));
                self.script("postgres", "checkpoint");
            }
        }
    }

    /// The statement that a recovery is measured against.
    pub fn reset_stale(&self) -> String {
        let (now, old) = match self.kind {
            // As long as what a recovery writes: rows that no longer fit into their pages cost more than all else.
            Kind::Sqlite => ("strftime('%Y-%m-%d %H:%M:%f', 'now')", "datetime('now', '-30 minutes')"),
            Kind::Postgres => {
                ("now() at time zone 'utc'", "(now() at time zone 'utc') - interval '30 minutes'")
            }
        };
        format!(
            "update task_queue set status = 'PENDING', updated_at = {now},
               error_message = 'Task timed out after 30 minutes and was reset to PENDING'
             where status = 'IN_PROGRESS' and updated_at < {old}"
        )
    }
}

/// Options of a recovery of that queue.
pub fn recover() -> String {
    serde_json::json!({"preset": "task_queue", "action": "recover", "columns": {"id": "task_id"}}).to_string()
}
