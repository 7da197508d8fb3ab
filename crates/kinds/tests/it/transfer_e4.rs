//! The example E4: two tables of an agent platform go into the seven that its developers wrote for PostgreSQL.

use crate::transfer_kit::{Move, forbidden};
use engine::{Status, Stop};
use serde_json::json;
use testkit::{Workshop, story};

pub const OLD: &str = include_str!("../../../../examples/e4/schema.sqlite.sql");
pub const SEED: &str = include_str!("../../../../examples/e4/seed.sqlite.sql");
pub const NEW: &str = include_str!("../../../../examples/e4/schema.postgres.sql");

/// As in the example's configuration.
pub fn options() -> serde_json::Value {
    json!({
        "existing": true,
        "zone": "UTC",
        "map": {
            "agents": { "columns": {
                "id": { "uuid": true },
                "status": { "null": "default", "default": "idle" },
                "capabilities": { "null": "default", "empty": "default", "default": "[]" },
            } },
            "tasks": { "columns": {
                "id": { "uuid": true },
                "status": { "null": "default", "default": "pending" },
                "priority": { "null": "default", "default": "medium" },
            } },
        },
    })
}

pub fn e4() -> Move {
    let it = Move::of(&format!("{OLD}{SEED}"));
    it.to.script(NEW);
    it
}

#[test]
fn both_schemas_and_every_value_fit() {
    // S4-002, S4-003, S4-008, S4-009, S4-010, S4-011, S4-012, S4-013, S4-014, S4-020, S4-026, S4-027, S4-028, S4-029,
    // S4-030, S4-032, S4-033, W-090, W-092, W-093, W-094, W-095
    let it = e4();
    let report = it.run(options());
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(
        it.list("select name, status, capabilities, extract(epoch from created_at)::bigint, updated_at is null from agents order by name"),
        [
            "Ada|active|[\"plan\", \"review\"]|1735787045|f",
            "Bob|idle|[]|1735779845|t",
            "Cy|idle|[]|1735787045|f",
        ]
    );
    assert_eq!(
        it.list("select t.title, a.name, t.status, t.priority, t.step_order, t.context_data from tasks t left join agents a on a.id = t.assigned_agent_id order by t.title"),
        ["Nobody's|null|in_progress|medium|0|{}", "Read the report|Cy|completed|medium|0|{}", "Write the report|Ada|pending|high|0|{}"]
    );
    assert_eq!(it.list("select id from agents where name = 'Cy'"), ["6f1e1c1c-0000-4000-8000-000000000001"]);
    assert_eq!(it.list("select count(*) from sexton.ids"), ["6"]);
    let ids = it.list("select id from agents order by 1");
    let again = e4();
    again.run(options());
    assert_eq!(again.list("select id from agents order by 1"), ids, "the same ids every time");
    assert_eq!(again.run(json!({"action": "verify", "map": options()["map"]})).status, Status::Completed);
    // the demands of the new schema are as they were
    for refused in [
        "insert into agents (name, agent_type) values ('x', 'intern')",
        "insert into agent_capabilities (agent_id, capability_name, confidence_score) select id, 'c', 1.01 from agents",
        "insert into agent_messages (sender_id, recipient_id, sender_type, recipient_type, message_type, priority) select id, id, 'a', 'b', 'c', 'huge' from agents",
    ] {
        assert!(it.to.try_script(refused).is_err(), "{refused}");
    }
    // S4-034: full-text search by the indexes that the schema has for it
    for (table, columns) in [
        ("tasks", "title || ' ' || coalesce(description, '')"),
        ("workflows", "name || ' ' || coalesce(description, '')"),
    ] {
        let plan = it.list(&format!(
            "set enable_seqscan = off; explain select * from {table} where to_tsvector('english', {columns}) @@ to_tsquery('english', 'report')"
        ));
        assert!(plan.concat().contains("Bitmap Index Scan"), "{table}: {plan:?}");
    }
    // S4-035: many at once read and write
    std::thread::scope(|scope| {
        for n in 0..20 {
            let it = &it;
            scope.spawn(move || {
                let mut session = it.to.connect();
                for m in 0..5 {
                    session.script(&format!("insert into tasks (title) values ('{n} {m}'); select count(*) from tasks; update tasks set status = 'completed' where title = '{n} {m}'")).unwrap();
                }
            });
        }
    });
    assert_eq!(it.list("select count(*) from tasks where status = 'completed'"), ["101"]);
    it.to.script("delete from tasks where title ~ '^[0-9]'");
}

#[test]
fn the_new_tables_are_there_and_keep_what_they_demand() {
    // S4-003, S4-012, S4-014, S4-025, S4-026, S4-027, S4-028, S4-029, S4-030, S4-032
    let it = e4();
    assert_eq!(it.run(options()).status, Status::Completed);
    let tables = it.list("select tablename from pg_tables where schemaname = 'public' order by 1");
    let empty =
        ["agent_capabilities", "agent_messages", "agent_performance", "workflow_executions", "workflows"];
    assert_eq!(tables, [&empty[..2], &["agent_performance", "agents", "tasks"], &empty[3..]].concat());
    for table in empty {
        assert_eq!(it.list(&format!("select count(*) from {table}")), ["0"], "{table}");
    }
    let own = "select count(*), count(*) filter (where indexdef like '%USING gin%') from pg_indexes where schemaname = 'public' and indexname like 'idx_%'";
    assert_eq!(it.list(own), ["14|2"]);
    for (table, column, most) in [
        ("agents", "name", 255),
        ("agents", "agent_type", 50),
        ("agents", "status", 50),
        ("agents", "model_provider", 100),
        ("agents", "model_name", 100),
        ("tasks", "title", 500),
        ("tasks", "status", 50),
        ("tasks", "priority", 20),
    ] {
        assert_eq!(it.typ(table, column), format!("character varying({most})"), "{table}.{column}");
    }
    assert_eq!(
        it.list("select name, to_char(updated_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS') from agents order by 1"),
        ["Ada|2025-01-03 00:00:00", "Bob|null", "Cy|2025-01-02 03:04:05"]
    );
    // what a new row gets that is given nothing else
    it.to.script(
        "insert into agent_messages (sender_id, recipient_id, sender_type, recipient_type, message_type)
           select id, id, 'a', 'b', 'c' from agents where name = 'Ada';
         insert into workflows (name, definition) values ('weekly', '{\"steps\": []}');
         insert into workflow_executions (workflow_id) select id from workflows;
         insert into agent_capabilities (agent_id, capability_name) select id, 'plan' from agents;
         insert into agent_performance (agent_id, metric_name, metric_value) select id, 'speed', 123456.7891 from agents;
         insert into tasks (title) values ('new')",
    );
    for (sql, row) in [
        (
            "select priority, status, payload, retry_count, max_retries, message_id is null from agent_messages",
            "normal|pending|{}|0|3|f",
        ),
        ("select status, version, tags, definition from workflows", "draft|1|{}|{\"steps\": []}"),
        (
            "select status, current_step, context_data, result_data from workflow_executions",
            "running|0|{}|{}",
        ),
        ("select distinct confidence_score, usage_count from agent_capabilities", "0.50|0"),
        ("select distinct metric_value from agent_performance", "123456.7891"),
        (
            "select status, priority, step_order, context_data from tasks where title = 'new'",
            "pending|medium|0|{}",
        ),
    ] {
        assert_eq!(it.list(sql), [row], "{sql}");
    }
    for refused in [
        "update agent_messages set priority = 'huge'",
        "update agent_messages set status = 'lost'",
        "update workflows set status = 'gone'",
        "update workflow_executions set status = 'paused'",
        "update agent_capabilities set confidence_score = 1.01",
        "update agent_capabilities set confidence_score = -0.01",
        "insert into agent_capabilities (agent_id, capability_name) select id, 'plan' from agents where name = 'Ada'",
        "update agent_performance set metric_value = 1234567.1",
        "update tasks set title = repeat('t', 501)",
    ] {
        assert!(it.to.try_script(refused).is_err(), "{refused}");
    }
}

#[test]
fn what_hangs_on_a_row_goes_or_stays_as_the_new_schema_says() {
    // S4-033
    let it = e4();
    assert_eq!(it.run(options()).status, Status::Completed);
    it.to.script(
        "insert into agent_messages (sender_id, recipient_id, sender_type, recipient_type, message_type, payload)
           select a.id, b.id, 'a', 'b', 'c', '{}' from agents a, agents b where a.name = 'Ada' and b.name in ('Bob', 'Cy');
         insert into agent_messages (sender_id, recipient_id, sender_type, recipient_type, message_type, payload)
           select b.id, a.id, 'a', 'b', 'c', '{}' from agents a, agents b where a.name = 'Ada' and b.name = 'Bob';
         insert into agent_capabilities (agent_id, capability_name) select id, 'plan' from agents;
         insert into agent_performance (agent_id, metric_name, metric_value) select id, 'speed', 1.5 from agents;
         insert into workflows (name, definition) values ('weekly', '{}'), ('daily', '{}');
         insert into workflow_executions (workflow_id) select id from workflows;
         insert into tasks (title, workflow_id) select name, id from workflows",
    );
    let count = |what: &str| it.list(&format!("select count(*) from {what}")).concat();
    it.to.script("delete from agents where name = 'Ada'");
    assert_eq!(count("tasks where title = 'Write the report' and assigned_agent_id is null"), "1");
    assert_eq!(
        count("tasks where assigned_agent_id is not null"),
        "1",
        "that of another agent stays as it is"
    );
    assert_eq!(
        [count("agent_messages"), count("agent_capabilities"), count("agent_performance")],
        ["0", "2", "2"],
        "what was sent by or to an agent goes with it"
    );
    it.to.script("delete from workflows where name = 'weekly'");
    assert_eq!([count("workflow_executions"), count("tasks where workflow_id is not null")], ["1", "1"]);
    assert_eq!(count("tasks where title = 'weekly'"), "0");
}

#[test]
fn the_check_of_integrity_finds_nothing_in_what_has_arrived() {
    // S4-020
    let it = e4();
    assert_eq!(it.run(options()).status, Status::Completed);
    it.to.admin_script(
        "create extension amcheck;
         do $$ declare f text; begin
           for f in select oid::regprocedure::text from pg_proc where proname in ('bt_index_check', 'verify_heapam') loop
             execute 'grant execute on function ' || f || ' to public';
           end loop; end $$",
    );
    let check = || {
        let rule = |name: &str, table: &str, condition: &str| json!({"name": name, "table": table, "where": condition});
        let asked = json!({"rules": [
            rule("types", "agents", "t.agent_type not in ('chief_of_staff', 'master_operator')"),
            rule("nameless", "agents", "t.name is null or t.agent_type is null"),
            rule("documents", "agents", "jsonb_typeof(t.capabilities) is distinct from 'array'"),
            rule("priorities", "tasks", "t.priority not in ('low', 'medium', 'high', 'urgent')"),
            rule("context", "tasks", "jsonb_typeof(t.context_data) is distinct from 'object'"),
        ]});
        let request = story::request("check", asked, crate::stage::manners(), false);
        let plan = story::plan(&it.engine(), &request);
        (story::run(&it.engine(), &plan), plan.items[0].result.clone().unwrap())
    };
    let (report, result) = check();
    assert_eq!(report.status, Status::Completed, "{:#?}", report.operations[0].findings);
    assert_eq!(report.operations[0].findings, []);
    assert_eq!(result["passed"], true, "{result:#}");
    // every demand is one that the server has looked at, row by row
    let unproven =
        "select count(*) from pg_constraint where not convalidated and connamespace = 'public'::regnamespace";
    assert_eq!(it.list(unproven), ["0"]);
    // and it would find something
    it.to.admin_script(
        "set session_replication_role = replica; update tasks set assigned_agent_id = gen_random_uuid() where title = 'Write the report'",
    );
    let (report, result) = check();
    assert_eq!((report.status, &result["passed"]), (Status::Partial, &json!(false)), "{result:#}");
}

/// The same from the script itself, into a database with nothing in it.
fn from_script() -> (Move, serde_json::Value) {
    let mut it = Move::of(&format!("{OLD}{SEED}"));
    // a user who may make databases
    it.workshop = Workshop::new(&it.to, kinds::catalogue()).on(it.to.admin_database());
    let file = it.workshop.folder().join("phase2_schema.sql");
    std::fs::write(
        &file,
        format!("-- ours\nbegin;\n{NEW}\ngrant all on all tables in schema public to public;\ncommit;\n"),
    )
    .unwrap();
    let mut asked = options();
    asked["existing"] = json!(false);
    asked["schema_file"] = json!(file);
    (it, asked)
}

#[test]
fn a_script_makes_the_tables_once() {
    // S4-003, S4-008
    let (it, asked) = from_script();
    let trials =
        format!("select count(*) from pg_database where datname ~ '^sexton_drill_{}_'", std::process::id());
    let plan = it.plan(asked.clone());
    assert!(plan.items[0].steps[0].statements.iter().any(|sql| sql.contains("workflow")), "{plan:#?}");
    assert_eq!(
        it.list("select count(*) from pg_tables where schemaname = 'public'"),
        ["0"],
        "a plan makes nothing"
    );
    assert_eq!(it.list(&trials), ["0"], "nothing of the trial is left");
    let report = story::run(&it.engine(), &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(it.list("select count(*) from pg_tables where schemaname = 'public'"), ["7"]);
    assert_eq!(it.list("select count(*) from agents"), ["3"]);
    // again: the tables are there, and have rows
    assert_eq!(forbidden(&it.plan(asked.clone())), ["target_not_empty public"]);
    it.to.admin_script("truncate agents, tasks cascade");
    assert_eq!(it.run(asked.clone()).status, Status::Completed);
    // a part of it
    it.to.admin_script("drop table tasks cascade");
    let why = it.refusal(asked);
    assert!(why.contains("a table for `agents`, and none for `tasks`"), "{why}");
}

#[test]
fn a_script_that_cannot_be_run_is_told_with_its_place() {
    // S4-008
    let (it, asked) = from_script();
    let file = it.workshop.folder().join("phase2_schema.sql");
    for (text, said) in [
        ("create table agents (id uuid", "line 1"),
        ("create table agents (id uuid);\ncreate table x (y nowhere);", "type \"nowhere\" does not exist"),
        (
            "create table agents (id uuid);\ncreate index concurrently i on agents (id);",
            "no transaction holds, line 2",
        ),
        ("\n-- nothing\n", "holds no statement"),
    ] {
        std::fs::write(&file, text).unwrap();
        let why = it.refusal(asked.clone());
        assert!(why.contains(said), "{text}: {why}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(it.refusal(asked.clone()).contains("cannot be read"));
    std::fs::write(&file, NEW).unwrap();
    let other = Move::of(OLD);
    let why = other.refusal(asked);
    assert!(why.contains("permission denied to create database") && why.contains("say `existing`"), "{why}");
    let trials =
        format!("select count(*) from pg_database where datname ~ '^sexton_drill_{}_'", std::process::id());
    assert_eq!(it.list(&trials), ["0"]);
}

#[test]
fn a_transfer_by_a_script_goes_on_after_every_death() {
    // S4-008, S4-016
    for nth in (1..200).filter(|nth| nth % 11 == 2) {
        let (it, asked) = from_script();
        let plan = it.plan_with(asked, |manners| manners.batch_size = Some(1));
        let engine = it.engine();
        engine.faults().arm(nth);
        let outcome = engine.run(&plan, &Stop::default(), &mut |_| {});
        drop(engine);
        if outcome.is_ok() {
            assert!(nth > 40, "only {nth} points");
            return;
        }
        if let Ok(report) = story::resumed(&it.engine(), "latest") {
            assert_eq!(report.status, Status::Completed, "after point {nth}: {report:#?}");
            assert_eq!(it.list("select count(*) from tasks"), ["3"], "after point {nth}");
        }
    }
    panic!("there is no end");
}
