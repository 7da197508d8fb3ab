//! `inspect` and `stats`: figures, whole and right, and nothing changed.

use crate::stage::{Stage, both, manners};
use serde_json::{Value as Json, json};
use testkit::story;

fn result(stage: &Stage, kind: &str, options: Json) -> Json {
    let before = stage.place.dump();
    let plan = story::plan(&stage.engine(), &story::request(kind, options, manners(), false));
    let report = story::run(&stage.engine(), &plan);
    assert_eq!(report.status, engine::Status::Completed, "{report:?}");
    assert_eq!(stage.place.dump(), before, "a look changed something");
    assert!(stage.place.leftovers().is_empty());
    plan.items[0].result.clone().unwrap()
}

#[test]
fn the_twenty_largest_tables_are_listed_by_size() {
    // S1-030, S1-054, R1a
    let mut script = String::new();
    for n in 0..25 {
        script += &format!("create table t{n} (id integer primary key, body text);");
        script += &format!(
            "insert into t{n} with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) select i, 'some words to fill a row ' || i from n;",
            (n + 1) * 150
        );
    }
    let postgres = format!("{script} analyze;");
    both(&script, &postgres, |stage| {
        let found = result(stage, "stats", json!({ "exact": true }));
        let tables = found["tables"].as_array().unwrap();
        assert_eq!((tables.len(), found["table_count"].as_u64()), (20, Some(25)));
        assert_eq!(tables[0]["name"], "t24");
        assert_eq!(
            (tables[0]["rows"].as_u64(), tables[0]["rows_exact"].as_bool()),
            (Some(25 * 150), Some(true))
        );
        let sizes: Vec<u64> = tables.iter().map(|table| table["total_bytes"].as_u64().unwrap()).collect();
        assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1]), "{sizes:?}");
        assert!(found["database_bytes"].as_u64().unwrap() > sizes[0]);
        let estimated = result(stage, "stats", Json::Null);
        assert_eq!(estimated["tables"][0]["rows_exact"], false);
    });
}

#[test]
fn a_report_joins_rows_a_queue_and_files() {
    // S0-094, S0-095, R3e, R3f, R3g
    let tables = "
        create table planners (planner_id text primary key); create table workers (worker_id text primary key);
        insert into planners values ('a'), ('b');
        create table task_queue (id integer primary key, task_id text, status text, function_name text, entity_type text,
          created_at timestamp, started_at timestamp, completed_at timestamp, updated_at timestamp, retry_count integer, max_retries integer);
        insert into task_queue (id, task_id, status) values (1, 'x', 'PENDING'), (2, 'y', 'COMPLETED');";
    both(tables, tables, |stage| {
        let store = stage.workshop.store();
        std::fs::create_dir_all(store.join("folder")).unwrap();
        std::fs::write(store.join("folder/a.txt"), "12345").unwrap();
        std::fs::write(store.join("b.txt"), "123").unwrap();
        let options = json!({
            "count": ["planners", "workers", "task_queue"], "store": "store",
            "queue": { "table": "task_queue", "columns": { "id": "id", "state": "status" } },
        });
        let found = result(stage, "stats", options);
        assert_eq!(found["database"], json!({ "planners": 2, "workers": 0, "task_queue": 2 }));
        assert_eq!(found["file_system"], json!({ "total_size": 8, "file_count": 2, "directory_count": 1 }));
        assert_eq!(found["task_queue"]["total_tasks"], 2);
        assert_eq!(found["task_queue"]["by_status"]["PENDING"], 1);
    });
}

#[test]
fn one_document_has_all_sections() {
    // S1-061, S1-052, S1-053, S1-056, S1-060, W-107, R1e
    let tables = "
        create table agents (id integer primary key);
        create table agent_capabilities (id integer primary key, agent_id integer not null references agents (id), capability text not null,
          unique (agent_id, capability));
        create index idx_agent_capabilities_agent on agent_capabilities (agent_id);
        create table workflows (id integer primary key, created_by integer references agents (id));
        create table workflow_executions (id integer primary key, workflow integer, started_by integer references agents (id));";
    both(tables, tables, |stage| {
        let found = result(stage, "inspect", Json::Null);
        for section in [
            "database",
            "size_bytes",
            "tables",
            "indexes",
            "unused_indexes",
            "active_connections",
            "long_queries",
            "locks",
            "bloat",
            "estimates",
            "cache",
            "horizon",
            "sequences",
            "replication",
            "slow_queries",
            "settings",
            "disk",
            "file",
            "growth",
        ] {
            assert!(found.get(section).is_some(), "{section} is not in it");
        }
        let sqlite = stage.place.is_sqlite();
        assert_eq!(found["database"]["is_sqlite"], sqlite);
        assert_eq!(found["database"]["is_postgresql"], !sqlite);
        let redundant = &found["redundant_indexes"][0];
        assert_eq!(redundant["name"], "idx_agent_capabilities_agent");
        let missing: Vec<&str> = found["missing_indexes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["table"].as_str().unwrap())
            .collect();
        assert_eq!(missing, ["workflow_executions", "workflows"]);
        assert!(found["estimates"]["vacuum"].as_f64().unwrap() > 0.0);
        // S2-066, X-19
        assert_eq!(found["slow_queries"], Json::Null);
        assert_eq!(found["index_efficiency_percent"], Json::Null);
        if !sqlite {
            assert!(found["not_available"]["slow"]["help"].as_str().unwrap().contains("pg_stat_statements"));
            // S2-068
            assert!(found["cache"]["hit_percent"].as_f64().is_some());
        }
    });
}

#[test]
fn fragmentation_rises_when_half_of_the_rows_go() {
    // S2-064, X-32
    let rows = "create table t (id integer primary key, body text);
        insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000) select i, 'words that fill a page slowly ' || i from n;";
    let postgres = format!("{} alter table t set (autovacuum_enabled = false); analyze t;", rows);
    both(rows, &postgres, |stage| {
        let wasted = |stage: &Stage| {
            let found = result(stage, "inspect", Json::Null);
            let table = found["tables"]
                .as_array()
                .unwrap()
                .iter()
                .find(|table| table["name"] == "t")
                .unwrap()
                .clone();
            assert!(table["wasted_method"].is_string(), "{table}");
            let listed = found["bloat"]["tables"].as_array().unwrap();
            let over = table["wasted_percent"].as_f64().unwrap() > 10.0;
            assert_eq!(listed.iter().any(|one| one["name"] == "t"), over, "R1b: {}", found["bloat"]);
            table["wasted_percent"].as_f64().unwrap()
        };
        let before = wasted(stage);
        stage.place.script("delete from t where id % 2 = 0");
        let begun = std::time::Instant::now();
        while wasted(stage) < before + 20.0 {
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{before} {}", wasted(stage));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
}

#[test]
fn estimates_are_guessed_from_sizes_first_and_known_from_runs_then() {
    // S1-060: shown before, compared after, learned from history
    let tables = "create table t (id integer primary key, a text); create index t_a on t (a);";
    both(tables, tables, |stage| {
        let engine = stage.engine();
        let plan = |kind: &str, options: Json| {
            story::plan(&engine, &story::request(kind, options, manners(), false))
        };
        let estimate = |kind: &str| {
            plan("inspect", Json::Null).items[0].result.as_ref().unwrap()["estimates"][kind].as_f64().unwrap()
        };
        let guess = estimate("reindex");
        assert!(guess > 0.0);
        let backup = plan("backup", Json::Null);
        assert!(
            backup.items[0].expected_seconds.unwrap() > 0.0,
            "guessed from the size: {:?}",
            backup.items[0]
        );
        for (kind, options) in [("reindex", json!({"all": true})), ("backup", Json::Null)] {
            let report = story::run(&engine, &plan(kind, options));
            assert_eq!(report.status, engine::Status::Completed, "{report:#?}");
            let took = report.operations[0].duration_seconds;
            // How large the indexes of a SQLite file are nobody tells: a rebuild there is known from runs only.
            let told = report.operations[0].expected_seconds.is_some();
            assert!(
                told || (kind == "reindex" && stage.place.is_sqlite()),
                "{kind}: told beside what it took"
            );
            let again = estimate(kind);
            assert!((again - took).abs() < 1e-9, "{kind} took {took}, and {again} is expected now");
        }
        let learned = plan("backup", Json::Null).items[0].expected_seconds.unwrap();
        assert_ne!(Some(learned), backup.items[0].expected_seconds, "history is used");
    });
}

#[test]
fn slow_statements_are_told_where_the_server_counts_them() {
    // S2-066
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let settings = ["fsync=off", "shared_preload_libraries=pg_stat_statements", "shared_buffers=16MB"];
    let server = testkit::Server::start(&folder.path().join("server"), &settings).unwrap();
    let stage = Stage::new(testkit::Place::elsewhere(&server.url("postgres")));
    stage.place.script("create extension pg_stat_statements");
    stage.place.script("select pg_sleep(2), 'a secret'");
    let plan = story::plan(&stage.engine(), &story::request("inspect", Json::Null, manners(), false));
    let found = plan.items[0].result.as_ref().unwrap()["slow_queries"].clone();
    let slow = found.as_array().unwrap_or_else(|| panic!("{found}"));
    let slept = slow.iter().find(|one| one["query"].as_str().is_some_and(|query| query.contains("pg_sleep")));
    assert!(slept.is_some(), "{found:#}");
    assert!(!found.to_string().contains("secret"), "{found:#}");
}
