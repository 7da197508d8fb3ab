//! Scopes of a merge: each is a transaction and an undo point of its own, and one that fails stops nobody.

use crate::merge::{cells, cleanup, folders};
use crate::stage::{Stage, both, codes, manners, shown};
use engine::{Plan, Report, SetClock, Status};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use testkit::{Workshop, story};

/// E3 on both databases.
fn on_both(test: impl FnMut(&Stage)) {
    let mut test = test;
    both("", "", |stage| {
        folders(&stage.place);
        test(stage);
    });
}

fn plan(stage: &Stage, options: Json) -> Plan {
    story::plan(&stage.engine(), &story::request("merge", options, manners(), false))
}

fn run(stage: &Stage, options: Json) -> Report {
    story::run(&stage.engine(), &plan(stage, options))
}

fn with(key: &str, value: impl Into<Json>) -> Json {
    let mut options = cleanup();
    options[key] = value.into();
    options
}

/// A trigger that refuses whatever happens to folders of these applications.
fn refuse(stage: &Stage, which: &str) {
    stage.place.script2(
        &format!(
            "create trigger refuses before delete on folders when old.application_id in ({which})
             begin select raise(abort, 'no folder of it may go'); end;"
        ),
        &format!(
            "create function refuses() returns trigger language plpgsql as $$ begin
               if old.application_id in ({which}) then raise exception 'no folder of it may go'; end if;
               return old; end $$;
             create trigger refuses before delete on folders for each row execute function refuses();"
        ),
    );
}

fn allow(stage: &Stage) {
    stage.place.script2("drop trigger refuses", "drop trigger refuses on folders");
}

#[test]
fn each_application_has_a_result_and_an_undo_point_of_its_own() {
    // S3-005, S3-006, S3-007, S3-010
    on_both(|stage| {
        let before = stage.place.dump();
        let report = run(stage, cleanup());
        let result = report.operations[0].result.clone().unwrap();
        let ids = result["rollback_ids"].as_array().unwrap();
        assert_eq!(ids.len(), 9);
        let results = result["results"].as_array().unwrap();
        let sum = |key: &str| results.iter().map(|one| one[key].as_u64().unwrap_or(0)).sum::<u64>();
        assert_eq!(result["applications_found"], 9);
        assert_eq!(result["applications_cleaned"], 9);
        assert_eq!(result["applications_failed"], 0);
        assert_eq!(result["folders_removed"], sum("removed_rows"));
        assert_eq!(result["folders_removed"], report.operations[0].rows_deleted);
        assert_eq!(result["documents_moved"], sum("moved_documents"));
        assert_eq!(result["documents_renamed"], sum("renamed_documents"));
        let second = results.iter().find(|one| one["application_id"] == 2).unwrap();
        assert_eq!(second["merged"].as_array().unwrap().len(), 7);
        assert_eq!(second["removed"].as_array().unwrap().len(), 7);
        assert_eq!(second["status"], "completed");
        let kept = stage.number("select id from folders where application_id = 2 and parent_id is null");
        assert_eq!(second["kept_folder_id"].to_string().trim_matches('"'), kept.to_string());
        // The list of undo points shows them, and dropping them one by one leaves nothing.
        let points = stage.engine().undo_points("test").unwrap();
        let known: Vec<String> = points
            .iter()
            .flat_map(|point| point.scopes.iter().map(|scope| format!("{}-{}", point.id, scope.batch)))
            .collect();
        assert_eq!(known.len(), 9);
        assert!(ids.iter().all(|id| known.iter().any(|known| id == known)));
        let after = stage.place.dump();
        for id in &known {
            stage.engine().drop_undo("test", id, "tester").unwrap();
        }
        assert_eq!(stage.place.dump(), after);
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
        assert_ne!(before, after);
    });
}

#[test]
fn one_application_is_put_back_by_its_id_and_only_once() {
    // S3-008, S3-009, W-079
    on_both(|stage| {
        let of = |application: i64| {
            let mut rows = cells(
                &stage.place,
                &format!(
                    "select id, parent_id, name from folders where application_id = {application} order by id"
                ),
            );
            rows.extend(cells(
                &stage.place,
                &format!(
                    "select d.id, d.folder_id, d.name from documents d join folders f on f.id = d.folder_id
                     where f.application_id = {application} order by d.id"
                ),
            ));
            rows
        };
        let whole = stage.place.dump();
        let (two, six) = (of(2), of(6));
        let report = run(stage, cleanup());
        let merged = of(6);
        assert_ne!(of(2), two);
        let results = report.operations[0].result.as_ref().unwrap()["results"].clone();
        let id =
            results.as_array().unwrap().iter().find(|one| one["application_id"] == 2).unwrap()["rollback_id"]
                .as_str()
                .unwrap()
                .to_owned();
        let engine = stage.engine();
        let undo = |id: &str| {
            engine.undo_request(id, Some("test"), "tester").and_then(|request| engine.plan(&request))
        };
        let undone = story::run(&engine, &undo(&id).unwrap());
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
        assert_eq!(of(2), two);
        assert_eq!((of(6), six.len()), (merged.clone(), six.len()));
        let again = shown(&undo(&id).unwrap_err());
        assert!(again.contains("was put back already"), "{again}");
        let unknown = shown(&undo(&format!("{}-99", report.run_id)).unwrap_err());
        assert!(unknown.contains("there is no undo point"), "{unknown}");
        assert_eq!(of(6), merged);
        // The rest of the run goes back with the run itself, and passes over what is back.
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
        assert_eq!(stage.place.dump(), whole);
        story::forget(&stage.engine());
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn a_row_that_was_changed_after_the_merge_is_not_overwritten() {
    // S3-008, W-080
    on_both(|stage| {
        let report = run(stage, cleanup());
        let results = report.operations[0].result.as_ref().unwrap()["results"].clone();
        let six = results.as_array().unwrap().iter().find(|one| one["application_id"] == 6).unwrap().clone();
        let kept = six["merged"][0]["to"].to_string();
        let moved = stage.number(&format!(
            "select min(d.id) from documents d join folders f on f.id = d.folder_id where f.application_id = 6 and d.name like '%(2)%' and {kept} is not null"
        ));
        stage.place.script(&format!("update documents set name = 'mine.eml' where id = {moved}"));
        let engine = stage.engine();
        let request =
            engine.undo_request(six["rollback_id"].as_str().unwrap(), Some("test"), "tester").unwrap();
        let undone = story::run(&engine, &story::plan(&engine, &request));
        assert_eq!(undone.status, Status::Partial, "{undone:#?}");
        assert_eq!(stage.list(&format!("select name from documents where id = {moved}")), ["mine.eml"]);
    });
}

#[test]
fn what_refers_to_a_row_that_cannot_come_back_is_told() {
    // S3-008, W-078: a new constraint stands in the way of the second roots
    on_both(|stage| {
        let lost = "select count(*) from documents as d where not exists (select 1 from folders as f where f.id = d.folder_id)";
        let report = run(stage, cleanup());
        stage
            .place
            .script("create unique index one_root on folders (application_id) where parent_id is null");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Partial, "{undone:#?}");
        let findings = &undone.operations[0].findings;
        let told = |code: &str| {
            findings.iter().any(|finding| finding.code == code && finding.level == engine::Level::Warning)
        };
        assert!(told("undo_conflict"), "{findings:?}");
        // SQLite does not refuse them
        assert_eq!(told("parent_not_back"), stage.place.is_sqlite(), "{findings:?}");
        assert_eq!(stage.number(lost) > 0, stage.place.is_sqlite());
        stage.place.script("drop index one_root");
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
        assert_eq!(stage.number(lost), 0);
    });
}

#[test]
fn an_application_that_fails_is_as_it_was_and_the_others_go_on() {
    // S3-014, S3-045
    on_both(|stage| {
        refuse(stage, "4, 7");
        let of = "select id, parent_id, name from folders where application_id in (4, 7) order by id";
        let before = cells(&stage.place, of);
        let report = run(stage, with("triggers", "fire"));
        let done = &report.operations[0];
        assert_eq!(report.status, Status::Partial, "{report:#?}");
        assert_eq!(cells(&stage.place, of), before);
        assert_eq!(done.errors.len(), 2, "{:?}", done.errors);
        assert!(done.errors[0].starts_with("4: ") && done.errors[0].contains("no folder of it may go"));
        assert_eq!(report.errors[0].target.as_deref(), Some("4"));
        assert_eq!(report.errors[0].class, engine::Class::Data);
        let result = done.result.as_ref().unwrap();
        assert_eq!((&result["applications_cleaned"], &result["applications_failed"]), (&7.into(), &2.into()));
        let failed =
            result["results"].as_array().unwrap().iter().find(|one| one["application_id"] == 4).unwrap();
        assert_eq!(failed["status"], "failed");
        assert!(failed["errors"][0].as_str().unwrap().contains("no folder"));
        let roots = "select count(*) from (select 1 from folders where parent_id is null group by application_id having count(*) > 1) as x";
        assert_eq!(stage.number(roots), 2);
        stage.undo(&report.run_id);
    });
}

#[test]
fn a_death_around_a_failure_changes_nothing_about_it() {
    // S3-014, S3-052: whichever point dies, the run resumes to the same end
    both("", "", |stage| {
        folders(&stage.place);
        stage.place.script(
            "delete from documents where folder_id not between 400 and 499 and folder_id not between 600 and 699; delete from folders where application_id not in (4, 6);",
        );
        refuse(stage, "4");
        let before = stage.place.dump();
        for nth in (1..).step_by(2) {
            let engine = stage.engine();
            let plan = plan(stage, with("triggers", "fire"));
            engine.faults().arm(nth);
            let outcome = engine.run(&plan, &engine::Stop::default(), &mut |_| {});
            let died = outcome.is_err();
            drop(engine);
            let engine = stage.engine();
            let report = match outcome {
                Ok(report) => report,
                Err(_) => match story::resumed(&engine, "latest") {
                    Ok(report) => report,
                    Err(_) if nth == 1 => story::run(&engine, &plan),
                    Err(_) => engine.run_record("latest").unwrap().report(),
                },
            };
            assert_eq!(report.status, Status::Partial, "point {nth}: {report:#?}");
            assert_eq!((report.totals.deleted, report.totals.failed), (2, 1), "point {nth}: {report:#?}");
            assert_eq!(engine::Status::Completed, stage.undo(&report.run_id).status);
            assert_eq!(stage.place.dump(), before, "point {nth}");
            story::forget(&engine);
            stage.place.script2("delete from sexton_failed_scopes", "delete from sexton.failed_scopes");
            if !died {
                assert!(nth > 20, "{nth}");
                break;
            }
        }
    });
}

#[test]
fn failed_applications_go_to_the_back_and_are_told_after_three_failures() {
    // W-122, S3-019
    on_both(|stage| {
        refuse(stage, "2, 4, 6, 7");
        let start = Timestamp::now();
        let hour = |n: i64, limit: u64| {
            let workshop = Workshop::new(&stage.place, kinds::catalogue())
                .at(Arc::new(SetClock::standing(start + n.hours())));
            let engine = workshop.engine();
            let mut options = with("triggers", "fire");
            options["max_scopes"] = limit.into();
            let plan = story::plan(&engine, &story::request("merge", options, manners(), false));
            let report = story::run(&engine, &plan);
            let codes: Vec<String> = codes(&plan).into_iter().map(str::to_owned).collect();
            (report, codes)
        };
        let (first, findings) = hour(0, 4);
        assert!(findings.iter().any(|code| code == "scopes_left"), "{findings:?}");
        assert_eq!(first.totals.failed, 4, "{first:#?}");
        let (second, _) = hour(2, 5);
        assert_eq!(
            second.operations[0].result.as_ref().unwrap()["applications_cleaned"],
            5,
            "the good ones are done by the second run: {second:#?}"
        );
        let (_, findings) = hour(5, 50);
        assert!(!findings.iter().any(|code| code == "scope_fails"));
        // each time they wait for twice as long
        hour(10, 50);
        let (_, findings) = hour(20, 50);
        assert_eq!(findings.iter().filter(|code| *code == "scope_fails").count(), 4, "{findings:?}");
        // At once they would still wait: unless a person says that the cause is mended.
        let (idle, findings) = hour(20, 50);
        assert_eq!(idle.totals.failed, 0);
        assert!(findings.iter().any(|code| code == "scopes_waiting"));
        allow(stage);
        let mended = run(stage, with("retry_failed", true));
        assert_eq!(mended.operations[0].result.as_ref().unwrap()["applications_cleaned"], 4, "{mended:#?}");
        story::forget(&stage.engine());
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
    });
}

#[test]
fn a_dry_run_tells_what_the_run_then_does() {
    // S3-011, W-112
    on_both(|stage| {
        let before = stage.place.dump();
        let planned = plan(stage, cleanup());
        let dry = planned.items[0].result.clone().unwrap();
        assert_eq!(stage.place.dump(), before);
        assert_eq!(stage.place.leftovers(), Vec::<String>::new());
        let report = run(stage, cleanup());
        let mut real = report.operations[0].result.clone().unwrap();
        let ids = |result: &Json| result["rollback_ids"].as_array().map(Vec::len);
        assert_eq!((ids(&dry), ids(&real)), (Some(0), Some(9)));
        real["dry_run"] = true.into();
        real["rollback_ids"] = json!([]);
        for one in real["results"].as_array_mut().unwrap() {
            one["rollback_id"] = Json::Null;
        }
        let plain = |result: &Json| {
            let mut result = result.clone();
            for one in result["results"].as_array_mut().unwrap() {
                let merged = one["merged"].as_array_mut().unwrap();
                merged.sort_by_key(ToString::to_string);
                one["removed"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
            }
            result
        };
        assert_eq!(plain(&dry), plain(&real));
    });
}

#[test]
fn a_scope_has_no_undo_point_where_nothing_is_to_be_remembered() {
    on_both(|stage| {
        let report = run(stage, with("undo", "none"));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(report.operations[0].result.as_ref().unwrap()["rollback_ids"], json!([]));
        story::forget(&stage.engine());
    });
}

#[test]
fn restored_rows_are_merged_again_only_after_they_are_released() {
    on_both(|stage| {
        let report = run(stage, cleanup());
        stage.undo(&report.run_id);
        let again = plan(stage, cleanup());
        assert_eq!(again.matched(), 0, "{again:#?}");
        assert_eq!(again.items[0].steps[0].exempt, 22);
        stage.engine().end_all_exemptions("test", "tester").unwrap();
        assert_eq!(plan(stage, cleanup()).matched(), 22);
    });
}

#[test]
fn one_application_is_consolidated_on_demand_and_the_others_are_not_looked_at() {
    //
    on_both(|stage| {
        let before = stage.place.dump();
        let (all, one) = (plan(stage, cleanup()), plan(stage, with("only", json!(["4"]))));
        let of_four = |plan: &Plan| {
            let result = plan.items[0].result.clone().unwrap();
            let list = result["results"].as_array().unwrap().clone();
            list.into_iter().find(|one| one["application_id"] == 4).unwrap()
        };
        assert_eq!(of_four(&one), of_four(&all), "the same as in the clean-up of all");
        assert_eq!(one.items[0].result.as_ref().unwrap()["results"].as_array().unwrap().len(), 1);
        let others =
            "select id, application_id, parent_id, name from folders where application_id <> 4 order by id";
        let untouched = cells(&stage.place, others);
        let report = run(stage, with("only", json!(["4", "04", "4711"])));
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        assert_eq!(report.operations[0].rows_deleted, one.matched());
        assert_eq!(cells(&stage.place, others), untouched);
        let roots = "select count(*) from folders where application_id = 4 and parent_id is null";
        assert_eq!(stage.number(roots), 1);
        // Again, and there is nothing to do.
        let again = run(stage, with("only", json!(["4"])));
        assert_eq!((again.status, again.totals.deleted), (Status::Completed, 0));
        stage.undo(&report.run_id);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn what_is_asked_for_by_name_does_not_wait_for_its_time() {
    // X-37, W-122
    on_both(|stage| {
        refuse(stage, "4");
        let mut options = with("triggers", "fire");
        assert_eq!(run(stage, options.clone()).status, Status::Partial);
        allow(stage);
        assert_eq!(run(stage, options.clone()).totals.deleted, 0, "it waits");
        options["only"] = json!(["4"]);
        assert!(run(stage, options).totals.deleted > 0);
    });
}

#[test]
fn a_value_that_cannot_be_one_is_refused() {
    on_both(|stage| {
        let engine = stage.engine();
        let plan = |options| engine.plan(&story::request("merge", options, manners(), false));
        let outcome = plan(with("only", json!(["four"])));
        match stage.place.is_sqlite() {
            // there any column may hold any value
            true => assert_eq!(outcome.unwrap().matched(), 0),
            false => assert!(outcome.unwrap_err().to_string().contains("`four` is no value of"), "told"),
        }
        let mut options = with("only", json!(["4"]));
        options.as_object_mut().unwrap().remove("scope");
        assert!(plan(options).unwrap_err().to_string().contains("`only` needs a `scope`"));
    });
}
