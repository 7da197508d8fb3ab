//! The thirty situations of a web application's maintenance, on both databases (section 10 of the ledger, S1-082).
//!
//! Each comment has the numbers of the situations that its test is.

use crate::examples::on_both;
use crate::kit::Desk;
use serde_json::Value as Json;

/// The nine operations of the example.
const OPERATIONS: [&str; 9] =
    ["vacuum", "reindex", "cleanup", "logs", "sessions", "views", "stats", "bloat", "backup"];

fn e1(test: impl Fn(&Desk)) {
    on_both("e1", "E1_DATABASE", test);
}

fn lite(desk: &Desk) -> bool {
    desk.place.is_sqlite()
}

fn json(desk: &Desk, line: &str) -> Json {
    desk.sexton(&format!("{line} --output json")).ends(0).json()
}

#[test]
fn situations_1_and_2_nothing_asked_for_is_refused_and_help_lists_all() {
    // S1-082 1 and 2: S1-005, S1-001, S1-010
    e1(|desk| {
        let said = desk.sexton("run").ends(2);
        assert!(said.stderr.contains("--operation") && said.stderr.contains("--all"), "{}", said.stderr);
        let help = desk.sexton("run --help").ends(0).stdout;
        assert!(help.contains("--operation") && help.contains("--dry-run"), "{help}");
        let config = desk.sexton("plan --all").ends(0).stdout;
        for name in OPERATIONS {
            assert!(config.contains(&format!("plan   {name} on")), "{name}: {config}");
        }
        let kinds = desk.sexton("--help").ends(0).stdout;
        for title in [
            "Make the space of deleted rows usable again",
            "Build indexes anew",
            "Fill materialised views anew",
            "Find tables and indexes with wasted space",
        ] {
            assert!(kinds.contains(title), "{title}: {kinds}");
        }
    });
}

#[test]
fn situations_3_to_6_8_14_16_and_21_a_dry_run_of_each_changes_nothing() {
    // S1-082 3, 4, 5, 6, 8, 14, 16, 21: S1-083, S1-007
    e1(|desk| {
        let before = desk.place.dump();
        for name in OPERATIONS {
            let report = json(desk, &format!("run --operation {name} --dry-run"));
            let wanted = if name == "views" && lite(desk) { "skipped" } else { "completed" };
            assert_eq!(report[name]["status"], wanted, "{name}: {report}");
            assert_eq!(report[name]["dry_run"], true);
            assert_eq!(report["metadata"]["dry_run"], true);
        }
        assert_eq!(desk.place.dump(), before);
        assert_eq!(desk.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn situations_13_and_14_tables_are_listed_by_size_and_waste_is_told_without_a_change() {
    // S1-082 13 and 14: S1-001, S1-002, S1-030, S1-031, S1-032, S1-083
    e1(|desk| {
        let report = json(desk, "run --operation stats");
        let mut keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
        keys.retain(|key| *key != "metadata" && *key != "schema_version");
        assert_eq!(keys, ["stats"], "{report}");
        let tables = report["stats"]["tables"].as_array().unwrap();
        let sizes: Vec<u64> = tables.iter().map(|table| table["total_bytes"].as_u64().unwrap()).collect();
        assert!(sizes.len() >= 4 && sizes.windows(2).all(|pair| pair[0] >= pair[1]), "{sizes:?}");
        // The run was told to the application's own log; a dry run tells nobody.
        let before = desk.place.dump();
        let dry = json(desk, "run --operation bloat --dry-run");
        assert_eq!(dry["bloat"]["dry_run"], true, "{dry}");
        let found = &dry["bloat"];
        assert_eq!(found["threshold_percent"], 10.0, "{dry}");
        assert!(found["tables"].is_array() && found["measured"].as_u64().unwrap() > 0, "{dry}");
        assert_eq!(desk.place.dump(), before);
    });
}

#[test]
fn situations_7_9_12_20_23_and_24_old_rows_go_in_batches_each_log_by_its_own_age() {
    // S1-082 7, 9, 12, 20, 23, 24: S1-021 to S1-027, S1-084
    e1(|desk| {
        let recent = if lite(desk) { "datetime('now', '-20 days')" } else { "now() - interval '20 days'" };
        let young = |table: &str, column: &str| desk.count(&format!("{table} where {column} > {recent}"));
        let kept = (young("core_auditlog", "created_at"), young("core_taskexecutionlog", "started_at"));
        let report = desk.sexton("run cleanup logs sessions --yes --output report").ends(0).json();
        let rows: Vec<u64> = report["operations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["rows_deleted"].as_u64().unwrap())
            .collect();
        assert!(rows.iter().all(|rows| *rows > 100), "{rows:?}");
        assert!(report["operations"][1]["batches"].as_u64().unwrap() >= 3, "{report}");
        let now = (young("core_auditlog", "created_at"), young("core_taskexecutionlog", "started_at"));
        // the run itself is told to the application's own log
        assert!(now.0 == kept.0 && now.1 >= kept.1, "{kept:?} {now:?}");
    });
}

#[test]
fn situations_10_17_18_and_30_documents_have_their_metadata_and_every_mix_works() {
    // S1-082 10, 17, 18, 30: S1-008, S1-011, S1-036, S1-037, W-046
    e1(|desk| {
        let both = json(desk, "run --operation sessions --operation vacuum --operation reindex --yes");
        for name in ["vacuum", "reindex"] {
            for key in ["status", "operation", "message"] {
                assert!(both[name][key].is_string(), "{name} {key}: {both}");
            }
            assert_eq!(both[name]["status"], "completed", "{both}");
            assert_eq!(both[name]["transactional"], false);
        }
        for key in ["timestamp", "duration_seconds", "dry_run", "database"] {
            assert!(!both["metadata"][key].is_null(), "{key}: {both}");
        }
        for operation in ["--operation vacuum", "--operation reindex,sessions", "--all"] {
            for dry in ["--dry-run", "--yes"] {
                for output in ["text", "json"] {
                    let said = desk.sexton(&format!("run {operation} {dry} --output {output}"));
                    // Where much was deleted, the last operation of all finds what is wasted now.
                    let finds = operation == "--all" && dry == "--yes" && !lite(desk);
                    assert!(said.code == 0 || (finds && said.code == 5), "{}", said.shown());
                    assert_eq!(
                        output == "json",
                        serde_json::from_str::<Json>(&said.stdout).is_ok(),
                        "{}",
                        said.stdout
                    );
                }
            }
        }
    });
}

#[test]
fn situations_11_15_25_to_27_and_29_all_of_them_run_and_are_recorded() {
    // S1-082 11, 15, 25, 26, 27, 28, 29: S1-004, S1-028, S1-029, S1-033, S1-034, S1-066, S1-067, S1-012, S1-071, X-15,
    // X-16, W-053
    e1(|desk| {
        if !lite(desk) {
            // Rows that went leave their space in the tables: that is found, and given back by a full vacuum.
            let first = desk.sexton("run --all --yes").ends(5);
            assert!(first.stdout.contains("is wasted"), "{}", first.shown());
            desk.place.script("vacuum full");
        }
        let report = desk.sexton("run --all --yes --output report").ends(0).json();
        assert_eq!(report["metadata"]["engine"], if lite(desk) { "sqlite" } else { "postgresql" });
        let all = report["operations"].as_array().unwrap();
        let order: Vec<&str> = all.iter().map(|one| one["operation"].as_str().unwrap()).collect();
        let place = |name: &str| order.iter().position(|one| *one == name).unwrap();
        assert!(place("backup") < place("cleanup") && place("logs") < place("vacuum"), "{order:?}");
        assert!(place("vacuum") < place("reindex") && place("reindex") < place("views"), "{order:?}");
        let of = |name: &str| &all[place(name)];
        for name in OPERATIONS.into_iter().filter(|name| *name != "views" || !lite(desk)) {
            assert_eq!(of(name)["status"], "completed", "{name}: {report}");
        }
        assert_eq!(of("backup")["result"]["checked"], true, "{}", of("backup"));
        if lite(desk) {
            assert_eq!(of("views")["status"], "skipped");
            assert!(of("views")["reason"].as_str().unwrap().contains("SQLite"));
            assert_eq!(desk.place.rows("pragma freelist_count")[0][0].as_int(), Some(0));
            assert_eq!(desk.place.rows("pragma integrity_check")[0][0].as_text(), Some("ok"));
        } else {
            let views = of("views")["result"]["views"].as_array().unwrap();
            let beside: Vec<bool> = views.iter().map(|one| one["concurrently"].as_bool().unwrap()).collect();
            assert_eq!(beside, [false, true], "{views:?}");
            let fresh = "mv_audit_actions where count = (select count(*) from core_auditlog)";
            assert_eq!(desk.count(fresh), 1);
        }
        let recorded = desk.sexton("runs show latest --output report").ends(0).json();
        assert_eq!(recorded["operations"], report["operations"]);
        assert!(desk.sexton("runs list").ends(0).stdout.contains("completed"));
    });
}

#[test]
fn situations_19_and_22_an_unknown_operation_and_a_second_run_are_refused() {
    // S1-082 19, 22: S1-006. That a second run at once is refused is proved where the moment is certain (`run.rs`).
    e1(|desk| {
        let said = desk.sexton("run --operation foo").ends(2);
        assert!(said.stderr.contains("foo"), "{}", said.stderr);
        assert!(desk.runs().is_empty());
        let mut first = desk.command("run logs --yes --rows-per-second 3000").spawn().unwrap();
        let began = std::time::Instant::now();
        let ours = || desk.sexton("status").stdout;
        while !ours().contains("logs") && began.elapsed() < std::time::Duration::from_secs(30) {}
        let second = desk.sexton("run vacuum --yes");
        first.kill().unwrap();
        first.wait().unwrap();
        // Either the second came while the first was at work, or the first was too quick for this machine.
        assert!([0, 6].contains(&second.code), "{}{}", second.stdout, second.stderr);
        assert!(second.code == 0 || second.stderr.contains("maintained"), "{}", second.stderr);
    });
}

#[test]
fn the_function_agents_optimise_their_file_in_the_weekly_group() {
    // S0-089, S0-100, S0-067, X-02
    let desk = Desk::empty();
    desk.sexton("example e0 e0").ends(0);
    let at = "--config e0/sexton.toml";
    let optimised = desk.sexton(&format!("run optimize-db --output result {at}")).ends(0).json();
    assert_eq!(optimised["success"], true, "{optimised}");
    // The check has something to tell, and the others do their work all the same.
    let weekly = desk.sexton(&format!("run weekly --yes --output report {at}")).ends(5).json();
    let order: Vec<&str> = weekly["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["operation"].as_str().unwrap())
        .collect();
    assert_eq!(
        order,
        ["backup", "integrity-check", "remove-files", "optimize-db", "optimize-indexes", "stats"]
    );
    for name in ["backup", "remove-files", "optimize-db", "optimize-indexes", "stats"] {
        let one =
            weekly["operations"].as_array().unwrap().iter().find(|one| one["operation"] == name).unwrap();
        assert_eq!(one["status"], "completed", "{one}");
    }
}
