//! A real standby: what can be looked at is, what cannot be done there is refused with the way to the primary, and its use of
//! indexes counts on the primary.

use crate::stage::{Stage, codes, manners};
use engine::{Plan, Status};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};
use testkit::{Place, Server, story};

/// A primary, its standby, and the folders that they lie in.
struct Pair {
    primary: Stage,
    standby: Stage,
    standby_url: String,
    _servers: (Server, Server),
    _folder: tempfile::TempDir,
}

fn pair() -> Pair {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let settings = ["fsync=off", "autovacuum=off", "shared_buffers=16MB", "max_connections=30"];
    let folders = (folder.path().join("first"), folder.path().join("second"));
    let (first, second) = Server::with_standby((&folders.0, &folders.1), &settings, |first| {
        Place::elsewhere(&first.url("postgres")).script(
            "create table t (id int primary key, a text, b int);
             insert into t select i, 'text ' || i, i from generate_series(1, 2000) i;
             create index t_a on t (a); create index t_b on t (b); analyze t",
        );
    })
    .unwrap();
    let primary = Stage::new(Place::elsewhere(&first.url("postgres")));
    let standby_url = second.url("postgres");
    let standby = Stage::new(Place::elsewhere(&standby_url));
    let began = Instant::now();
    while primary.number("select count(*) from pg_stat_replication where state = 'streaming'") == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "the standby does not follow");
        std::thread::sleep(Duration::from_millis(50));
    }
    Pair { primary, standby, standby_url, _servers: (second, first), _folder: folder }
}

fn plan(stage: &Stage, kind: &str, options: Json) -> Plan {
    story::plan(&stage.engine(), &story::request(kind, options, manners(), true))
}

#[test]
fn a_standby_is_looked_at_and_what_writes_is_refused_there() {
    // S4-054
    let pair = pair();
    let stage = &pair.standby;
    // Looks need nothing but reading.
    let doctor = plan(stage, "doctor", Json::Null);
    let result = doctor.items[0].result.clone().unwrap();
    assert!(
        result["findings"].as_array().unwrap().iter().all(|one| one["code"] != "unused_index"),
        "{result}"
    );
    let inspected = plan(stage, "inspect", Json::Null).items[0].result.clone().unwrap();
    assert_eq!(inspected["replication"]["standby"], true, "{}", inspected["replication"]);
    let stats = plan(stage, "stats", json!({"exact": true})).items[0].result.clone().unwrap();
    assert_eq!(stats["tables"][0]["rows"], 2000, "{stats}");
    for kind in ["bloat", "check"] {
        let report = story::run(&stage.engine(), &plan(stage, kind, Json::Null));
        assert!(matches!(report.status, Status::Completed | Status::Partial), "{kind}: {report:#?}");
        assert_eq!(report.errors, vec![], "{kind}");
    }
    // What writes is refused, with where to go.
    for (kind, options) in [
        ("vacuum", json!({"all": true})),
        ("analyze", json!({"all": true})),
        ("reindex", json!({"all": true})),
        ("views", Json::Null),
        ("index", json!({"drop": ["t_a"]})),
    ] {
        let refused = plan(stage, kind, options);
        assert_eq!(codes(&refused), ["read_only"], "{kind}: {:?}", refused.items[0].findings);
        let finding = &refused.items[0].findings[0];
        assert!(!finding.forcible && finding.remedy.contains("primary"), "{kind}: {finding:?}");
        let report = story::run(&stage.engine(), &refused);
        assert_eq!(report.status, Status::Refused, "{kind}: {report:#?}");
    }
    let purge = story::request("purge", json!({"table": "t", "where": "b > 0"}), manners(), true);
    let prepared = stage.engine().prepare(&purge).unwrap();
    let report = story::run(&stage.engine(), &prepared.plan);
    assert!(matches!(report.status, Status::Refused | Status::Failed), "{report:#?}");
    let said = format!("{} {:?}", report.operations[0].errors.join(" "), report.operations[0].findings);
    assert!(said.contains("read-only") || said.contains("read only") || said.contains("standby"), "{said}");
    assert_eq!(pair.primary.number("select count(*) from t"), 2000);
    // The primary's doctor sees it.
    let seen = plan(&pair.primary, "inspect", Json::Null).items[0].result.clone().unwrap();
    assert_eq!(seen["replication"]["replicas"].as_array().unwrap().len(), 1, "{}", seen["replication"]);
}

#[test]
fn a_backup_is_taken_from_a_standby() {
    // S1-033
    let pair = pair();
    let plan = plan(&pair.standby, "backup", Json::Null);
    let report = story::run(&pair.standby.engine(), &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let (backups, broken) = pair.standby.engine().backups(Some("test")).unwrap();
    assert!(broken.is_empty());
    assert_eq!(backups[0].contents.tables.iter().find(|table| table.name == "t").unwrap().rows, Some(2000));
}

#[test]
fn an_index_that_only_a_standby_uses_is_not_unused() {
    // S1-056, S2-065: use is summed over all nodes
    let pair = pair();
    std::thread::sleep(Duration::from_millis(1_200));
    let unused = |options: Json| plan(&pair.primary, "index", options);
    let blind = unused(json!({"unused_for": "1s"}));
    assert_eq!(codes(&blind), ["standbys_unseen"], "{:?}", blind.items[0].findings);
    assert!(blind.items[0].steps.is_empty());
    pair.standby.place.script("select count(*) from t where a = 'text 7'");
    pair.standby.counted();
    std::thread::sleep(Duration::from_millis(500));
    let seen = unused(json!({"unused_for": "1s", "standbys": [pair.standby_url]}));
    let objects: Vec<&str> = seen.items[0].steps.iter().map(|step| step.object.as_str()).collect();
    assert_eq!(objects, ["t_b"], "{:?}", seen.items[0].findings);
    let named = unused(json!({"drop": ["t_a"], "standbys": [pair.standby_url]}));
    assert_eq!(codes(&named), ["in_use"]);
    let uses = named.items[0].steps[0].facts.iter().find(|(name, _)| name == "uses").unwrap();
    assert!(uses.1.contains("here and on 1 standby"), "{uses:?}");
}
