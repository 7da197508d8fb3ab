//! Merges while others use the database: whoever creates below a row that goes, or a second root, loses nothing.

use crate::merge::{cells, cleanup, folders};
use crate::stage::{Stage, UNTIL_SOMEBODY_WAITS, both, codes, manners};
use engine::{Plan, Status, Stop, What};
use testkit::{Place, story};

fn plan(stage: &Stage, options: serde_json::Value) -> Plan {
    story::plan(&stage.engine(), &story::request("merge", options, manners(), false))
}

#[test]
fn what_is_created_below_a_root_that_goes_moves_with_the_rest() {
    // S3-043, W-087: the application's insert holds the folder, so the merge waits for it and then sees it
    let stage = Stage::new(Place::postgres());
    folders(&stage.place);
    let planned = plan(&stage, cleanup());
    let report = std::thread::scope(|threads| {
        threads.spawn(|| {
            stage.place.script(&format!(
                "set application_name = 'app'; begin;
                 insert into folders (id, application_id, parent_id, name) values (5000, 2, 221, 'Late');
                 insert into documents (id, folder_id, name, content_hash, size_bytes) values (5000, 5000, 'late', repeat('0', 64), 1);
                 {UNTIL_SOMEBODY_WAITS}; commit"
            ))
        });
        let sleeps = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'app' and wait_event = 'PgSleep'";
        let waits = (0..2000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            stage.number(sleeps) == 1
        });
        assert!(waits);
        stage.engine().run(&planned, &Stop::default(), &mut |_| {}).unwrap()
    });
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let root = "select id from folders where application_id = 2 and parent_id is null";
    assert_eq!(stage.list("select parent_id from folders where id = 5000"), stage.list(root));
    assert_eq!(stage.number("select count(*) from documents where folder_id = 5000"), 1);
}

#[test]
fn an_application_with_duplicates_is_cleaned_first_and_gets_one_root_whoever_creates_it() {
    // S3-043: clean first, then create; who comes second meets the constraint, tries again and finds what is there
    both("", "", |stage| {
        folders(&stage.place);
        let root = |application: u32| {
            stage.list(&format!(
                "select id from folders where application_id = {application} and parent_id is null order by id"
            ))
        };
        assert!(root(2).len() > 1);
        let mut only = cleanup();
        only["only"] = serde_json::json!(["2"]);
        stage.engine().run(&plan(stage, only), &Stop::default(), &mut |_| {}).unwrap();
        let kept = root(2);
        assert_eq!(kept.len(), 1, "cleaned first");
        stage.engine().run(&plan(stage, cleanup()), &Stop::default(), &mut |_| {}).unwrap();
        stage.place.script2(
            include_str!("../../../../examples/e3/constraints.sqlite.sql"),
            include_str!("../../../../examples/e3/constraints.postgres.sql"),
        );
        stage.place.script("insert into applications (id, name) values (77, 'new')");
        let place = &stage.place;
        let get_or_create = |application: u32, id: u32| -> String {
            let select =
                format!("select id from folders where application_id = {application} and parent_id is null");
            for _ in 0..2 {
                if let Some(known) = place.rows(&select).first() {
                    return known[0].to_string().trim_matches('\'').to_owned();
                }
                // What the other did between the look and this is met here.
                let insert = format!(
                    "insert into folders (id, application_id, name) values ({id}, {application}, 'Documents')"
                );
                if place.try_script(&insert).is_ok() {
                    return id.to_string();
                }
            }
            panic!("no root of {application}")
        };
        for application in [2, 77] {
            let known = std::thread::scope(|threads| {
                let get = &get_or_create;
                let all: Vec<_> =
                    [7000, 7001].into_iter().map(|id| threads.spawn(move || get(application, id))).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(known[0], known[1], "{known:?}");
            assert_eq!(root(application), [known[0].clone()]);
        }
        assert_eq!(root(2), kept, "just created where there is none");
    });
}

#[test]
fn two_creators_leave_one_root_once_the_constraint_is_there() {
    // S3-043, W-085, W-087: clean first, then create; the loser of the race meets the constraint and finds the winner's
    let stage = Stage::new(Place::postgres());
    folders(&stage.place);
    let engine = stage.engine();
    engine.run(&plan(&stage, cleanup()), &Stop::default(), &mut |_| {}).unwrap();
    stage.place.script(include_str!("../../../../examples/e3/constraints.postgres.sql"));
    stage.place.script("insert into applications (id, name) values (77, 'new')");
    let create = |id: u32| {
        stage.place.try_script(&format!(
            "begin; insert into folders (id, application_id, name) values ({id}, 77, 'Documents'); select pg_sleep(0.1); commit"
        ))
    };
    let outcomes = std::thread::scope(|threads| {
        let both: Vec<_> = [7000, 7001].into_iter().map(|id| threads.spawn(move || create(id))).collect();
        both.into_iter().map(|one| one.join().unwrap().is_ok()).collect::<Vec<_>>()
    });
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 1, "{outcomes:?}");
    assert_eq!(stage.number("select count(*) from folders where application_id = 77"), 1);
}

#[test]
fn each_application_is_told_as_it_is_done() {
    // S3-048, S3-049: progress with done of total, one transaction for each
    both("", "", |stage| {
        folders(&stage.place);
        let planned = plan(stage, cleanup());
        let mut seen = Vec::new();
        stage
            .engine()
            .run(&planned, &Stop::default(), &mut |event| {
                if let What::Advanced { batch, counts, detail, .. } = &event.what {
                    seen.push((
                        *batch,
                        counts.deleted,
                        detail.as_ref().unwrap()["application_id"].to_string(),
                    ));
                }
            })
            .unwrap();
        assert_eq!(seen.len() as u64, planned.items[0].steps[0].batches);
        assert_eq!(seen.iter().map(|one| one.1).sum::<u64>(), planned.matched());
        assert_eq!(seen[0].2.trim_matches('"'), "2");
    });
}

#[test]
fn an_index_that_is_missing_is_named() {
    // S3-051, S3-058, and what hangs on the rows is counted all the same
    both("", "", |stage| {
        folders(&stage.place);
        stage.place.script("drop index folders_parent; drop index documents_folder;");
        let planned = plan(stage, cleanup());
        let missing: Vec<String> = planned.items[0]
            .findings
            .iter()
            .filter(|finding| finding.code == "missing_index")
            .map(|finding| finding.remedy.clone())
            .collect();
        assert_eq!(missing.len(), 2, "{:?}", codes(&planned));
        assert!(missing.iter().any(|remedy| remedy.contains("(\"parent_id\")")), "{missing:?}");
        let without = stage.engine().run(&planned, &Stop::default(), &mut |_| {}).unwrap();
        let after = cells(&stage.place, "select id, parent_id from folders order by id");
        stage.undo(&without.run_id);
        story::forget(&stage.engine());
        // the remedy is a statement that the database takes
        missing.iter().for_each(|remedy| stage.place.script(remedy));
        let planned = plan(stage, cleanup());
        assert!(!codes(&planned).contains(&"missing_index"), "{:?}", codes(&planned));
        stage.engine().run(&planned, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(cells(&stage.place, "select id, parent_id from folders order by id"), after);
    });
}

#[test]
fn a_trigger_is_refused_until_somebody_has_looked_at_it() {
    both("", "", |stage| {
        folders(&stage.place);
        stage.place.script2(
            "create trigger touch after update on documents begin update applications set name = name; end;",
            "create function touch() returns trigger language plpgsql as $$ begin return null; end $$;
             create trigger touch after update on documents for each row execute function touch();",
        );
        assert!(codes(&plan(stage, cleanup())).contains(&"trigger"));
        let report = stage.engine().run(&plan(stage, cleanup()), &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!(report.status, Status::Refused);
    });
}
