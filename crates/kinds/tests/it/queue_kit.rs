//! A task queue on both databases, and short words for what the tests of `queue` do with it. It judges nothing.

use crate::stage::{Stage, both, manners, shown};
use engine::{Manners, Plan, Report, Request};
use serde_json::{Value as Json, json};
use testkit::{Place, Story, story};

/// The queue of the first example system, on SQLite and on PostgreSQL.
pub const SQLITE: &str = "create table task_queue (
   task_id text primary key, entity_type text not null, entity_id text not null, function_name text not null, payload json,
   status text not null default 'PENDING' check (status in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED')),
   error_message text, retry_count integer not null default 0, max_retries integer not null default 3,
   created_at timestamp not null default current_timestamp, updated_at timestamp not null default current_timestamp,
   retry_after timestamp);
 create index task_queue_created on task_queue (status, created_at);
 create index task_queue_updated on task_queue (status, updated_at);
 create index task_queue_function on task_queue (function_name);
 create index task_queue_entity on task_queue (entity_type, entity_id);";
pub const POSTGRES: &str = "create table task_queue (
   task_id text primary key, entity_type varchar(20) not null, entity_id text not null, function_name text not null, payload jsonb,
   status varchar(20) not null default 'PENDING' check (status in ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED')),
   error_message text, retry_count integer not null default 0, max_retries integer not null default 3,
   created_at timestamp not null default (now() at time zone 'utc'), updated_at timestamp not null default (now() at time zone 'utc'),
   retry_after timestamp);
 create index task_queue_created on task_queue (status, created_at);
 create index task_queue_updated on task_queue (status, updated_at);
 create index task_queue_function on task_queue (function_name);
 create index task_queue_entity on task_queue (entity_type, entity_id);";

/// Makes the queue with these tasks: id, status, minutes since it was touched, retries.
pub fn tasks(place: &Place, tasks: &[(&str, &str, i64, i64)]) {
    place.script2(SQLITE, POSTGRES);
    for (id, status, minutes, retries) in tasks {
        task(place, id, status, *minutes, *retries);
    }
}

/// Adds a task.
pub fn task(place: &Place, id: &str, status: &str, minutes: i64, retries: i64) {
    let at = |form: &str| match place.is_sqlite() {
        true => format!("strftime('{form}', 'now', '-{minutes} minutes')"),
        false => format!("(now() at time zone 'utc') - interval '{minutes} minutes'"),
    };
    place.script(&format!(
        "insert into task_queue (task_id, entity_type, entity_id, function_name, status, retry_count, created_at, updated_at)
         values ('{id}', 'planner', 'p1', 'execute', '{status}', {retries}, {}, {})",
        at("%Y-%m-%d %H:%M:%f"),
        at("%Y-%m-%dT%H:%M:%f"),
    ));
}

/// Options of an action on that queue, with more.
pub fn options(action: &str, more: Json) -> Json {
    let mut options = json!({"preset": "task_queue", "action": action});
    for (key, value) in more.as_object().into_iter().flatten() {
        options[key] = value.clone();
    }
    options
}

/// A story about an action on that queue.
pub fn queue(action: &str, more: Json) -> Story {
    Story::new(kinds::catalogue(), "queue", options(action, more))
}

/// A test on both databases, each with these tasks.
pub fn with(tasks: &[(&str, &str, i64, i64)], mut test: impl FnMut(&Stage)) {
    both(SQLITE, POSTGRES, |stage| {
        for (id, status, minutes, retries) in tasks {
            task(&stage.place, id, status, *minutes, *retries);
        }
        test(stage);
    });
}

pub fn request(options: &Json, change: impl FnOnce(&mut Manners)) -> Request {
    let mut manners = manners();
    change(&mut manners);
    story::request("queue", options.clone(), manners, false)
}

pub fn plan(stage: &Stage, options: &Json) -> Plan {
    story::plan(&stage.engine(), &request(options, |_| {}))
}

pub fn run(stage: &Stage, options: &Json) -> Report {
    let engine = stage.engine();
    let plan = story::plan(&engine, &request(options, |_| {}));
    story::run(&engine, &plan)
}

/// The statistics.
pub fn stats(stage: &Stage, options: &Json) -> Json {
    run(stage, options).operations[0].result.clone().unwrap_or_default()
}

/// Why it cannot be planned: the message with its causes, and the help.
pub fn refusal(stage: &Stage, options: &Json) -> String {
    match stage.engine().plan(&request(options, |_| {})) {
        Ok(plan) => panic!("it was planned: {:#?}", plan.items[0].steps),
        Err(failure) => shown(&failure),
    }
}
