//! Looking at duplicates without merging: counts, and every fault by its name.

use crate::merge::folders;
use crate::stage::{Stage, both, manners};
use engine::{Report, Status};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

fn options(mode: &str) -> Json {
    json!({
        "table": "folders", "by": ["application_id"], "tree": {"parent": "parent_id", "siblings": ["name"]},
        "scope": "application_id", "mode": mode,
    })
}

fn look(stage: &Stage, options: Json) -> Report {
    let engine = stage.engine();
    story::run(&engine, &story::plan(&engine, &story::request("merge", options, manners(), false)))
}

fn result(report: &Report) -> Json {
    report.operations[0].result.clone().unwrap()
}

#[test]
fn a_check_counts_the_roots_of_each_application_and_changes_nothing() {
    // S3-001, S3-013, S3-056, X-27
    both("", "", |stage| {
        folders(&stage.place);
        let before = stage.place.dump();
        let report = look(stage, options("check"));
        assert_eq!(stage.place.dump(), before);
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
        let found = result(&report);
        assert_eq!(
            (&found["total"], &found["threshold"], &found["alert"]),
            (&9.into(), &5.into(), &true.into())
        );
        assert_eq!(report.status, Status::Partial);
        // how much it would be, and what to do about so many
        assert_eq!(found["rows"], 10);
        let told = report.operations[0].findings.iter().find(|one| one.code == "duplicates").unwrap();
        assert!(told.what.contains("at least 10 rows would go, in 9 transactions"), "{told:?}");
        assert!(told.remedy.contains("quiet hours"), "{told:?}");
        stage.place.script(
            "delete from documents where folder_id >= 600; delete from folders where application_id >= 6;",
        );
        let report = look(stage, options("check"));
        assert_eq!(
            result(&report)["duplicates"].to_string().replace('"', ""),
            "[{application_id:2,count:3},{application_id:4,count:2}]"
        );
        assert_eq!((result(&report)["alert"].clone(), report.status), (false.into(), Status::Completed));
        // alert when above, not when equal
        for (threshold, alert) in [(1, true), (2, false)] {
            let mut options = options("check");
            options["threshold"] = threshold.into();
            assert_eq!(result(&look(stage, options))["alert"], alert);
        }
    });
}

/// Three applications whose folders may have parents that are not there.
fn unguarded_folders(place: &Place) {
    folders(place);
    place.script(
        "delete from documents where folder_id >= 400; delete from folders where application_id >= 4;",
    );
    place.script2("pragma foreign_keys = off", "alter table folders drop constraint folders_parent_id_fkey");
}

#[test]
fn every_fault_is_named_with_its_rows() {
    // S3-012, S3-013, W-083
    both("", "", |stage| {
        unguarded_folders(&stage.place);
        // a circle with something below it, a lost parent, a child of another application, a double child
        stage.place.script(
            "insert into folders (id, application_id, parent_id, name) values
               (901, 3, 902, 'a'), (902, 3, 901, 'b'), (903, 3, 902, 'c'),
               (904, 3, 99999, 'lost'), (905, 1, 301, 'alien'), (906, 3, 301, 'twin'), (907, 3, 301, 'twin');",
        );
        let before = stage.place.dump();
        let report = look(stage, options("verify"));
        assert_eq!(stage.place.dump(), before);
        assert_eq!(report.status, Status::Partial);
        let found = result(&report);
        assert_eq!(found["ok"], false);
        let of = |code: &str| -> Vec<String> {
            let all = found["findings"].as_array().unwrap();
            all.iter()
                .filter(|one| one["type"] == code)
                .map(|one| format!("{} {}", one["application_id"], one["ids"]).replace('"', ""))
                .collect()
        };
        assert_eq!(of("duplicate_root"), ["2 [201,211,221]"]);
        assert_eq!(of("duplicate_child"), ["3 [906,907]"]);
        assert_eq!(of("lost_parent"), ["3 [904]"]);
        assert_eq!(of("application_mismatch"), ["1 [905]"]);
        assert_eq!(of("cycle"), ["3 [901,902,903]"]);
        assert_eq!(of("constraint_missing").len(), 2);
        // The merge leaves circles and lost rows as they are, ends, and moves the stranger along with its parent.
        let mut merge = options("merge");
        merge["on_clash"] = json!([{"table": "documents", "policy": "keep", "columns": ["name"]}]);
        let report = look(stage, merge);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(
            stage.list("select id from folders where id in (901, 902, 903, 904, 905) order by id").len(),
            5
        );
        let found = result(&look(stage, options("verify")));
        let left: Vec<&str> =
            found["findings"].as_array().unwrap().iter().filter_map(|one| one["type"].as_str()).collect();
        assert_eq!(
            left,
            ["lost_parent", "application_mismatch", "cycle", "constraint_missing", "constraint_missing"]
        );
    });
}

#[test]
fn a_look_can_be_at_one_application_alone() {
    // S3-012, S3-013: by its scope, or by a condition about roots
    both("", "", |stage| {
        unguarded_folders(&stage.place);
        stage.place.script(
            "insert into folders (id, application_id, parent_id, name) values
               (901, 3, 902, 'a'), (902, 3, 901, 'b'), (904, 3, 99999, 'lost'), (906, 3, 301, 'twin'), (907, 3, 301, 'twin');",
        );
        let faults = |change: Json| -> Vec<String> {
            let mut options = options("verify");
            for (name, value) in change.as_object().unwrap() {
                options[name] = value.clone();
            }
            let found = result(&look(stage, options));
            let all = found["findings"].as_array().unwrap().iter();
            all.map(|one| one["type"].as_str().unwrap().to_owned())
                .filter(|code| code != "constraint_missing")
                .collect()
        };
        let of_three = ["duplicate_child", "lost_parent", "cycle"];
        for narrowed in [json!({"only": ["2"]}), json!({"where": "t.application_id = 2"})] {
            assert_eq!(faults(narrowed), ["duplicate_root"]);
        }
        for narrowed in [json!({"only": ["3"]}), json!({"where": "t.application_id = 3"})] {
            assert_eq!(faults(narrowed), of_three);
        }
        assert_eq!(faults(json!({"only": ["2", "3"]})).len(), 4);
        let mut check = options("check");
        check["only"] = json!(["2"]);
        assert_eq!(result(&look(stage, check))["total"], 1);
    });
}

#[test]
fn the_statements_that_are_missing_are_the_right_ones() {
    // S3-038, S3-039, W-085: they fail while there are duplicates, and hold afterwards
    both("", "", |stage| {
        folders(&stage.place);
        let missing = |stage: &Stage| -> Vec<String> {
            let found = result(&look(stage, options("verify")));
            let all = found["findings"].as_array().unwrap();
            all.iter().filter_map(|one| one["statement"].as_str().map(str::to_owned)).collect()
        };
        let statements = missing(stage);
        assert_eq!(statements.len(), 2);
        assert!(stage.place.try_script(&statements[0]).is_err());
        let mut merge = options("merge");
        merge["on_clash"] = json!([{"table": "documents", "policy": "keep", "columns": ["name"]}]);
        look(stage, merge);
        for statement in &statements {
            stage.place.script(statement);
        }
        assert_eq!(missing(stage), Vec::<String>::new());
        assert_eq!(result(&look(stage, options("verify")))["ok"], true);
        let root =
            "insert into folders (id, application_id, parent_id, name) values (990, 2, null, 'second')";
        assert!(stage.place.try_script(root).is_err());
        let child =
            "insert into folders (id, application_id, parent_id, name) values (990, 1, 101, 'Letters')";
        assert!(stage.place.try_script(child).is_err());
    });
}

#[test]
fn the_constraints_of_the_example_are_refused_with_the_offenders_until_all_is_merged() {
    // S3-038, S3-039, S3-040, S3-041, S3-042, X-35, X-36, W-085
    both("", "", |stage| {
        folders(&stage.place);
        let constraints = [
            include_str!("../../../../examples/e3/constraints.sqlite.sql"),
            include_str!("../../../../examples/e3/constraints.postgres.sql"),
        ];
        let script = constraints[usize::from(!stage.place.is_sqlite())];
        let before = stage.place.dump();
        let refused = stage.place.try_script(script).unwrap_err();
        assert!(
            refused.contains("must be merged first") && refused.contains('2') && refused.contains("12"),
            "{refused}"
        );
        assert_eq!(stage.place.dump(), before);
        let mut merge = options("merge");
        merge["on_clash"] = json!([{"table": "documents", "policy": "keep", "columns": ["name"]}]);
        look(stage, merge);
        stage.place.script(script);
        let insert = |id: u32, application: u32, parent: &str, name: &str| {
            stage.place.try_script(&format!(
                "insert into folders (id, application_id, parent_id, name) values ({id}, {application}, {parent}, '{name}')"
            ))
        };
        assert!(insert(990, 2, "null", "second root").is_err());
        assert!(insert(991, 1, "101", "Letters").is_err());
        insert(992, 1, "102", "Letters").unwrap();
        stage.place.script2("pragma foreign_keys = on", "select 1");
        if !stage.place.is_sqlite() {
            assert!(insert(993, 3, "101", "of another application").is_err());
        }
        assert!(insert(994, 1, "994", "own parent").is_err());
        // Nothing is missing any more, and a merge finds nothing to do.
        assert_eq!(result(&look(stage, options("verify")))["ok"], true);
    });
}
