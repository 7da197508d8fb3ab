//! A run that changes hands: whoever had it before, and does not know that he has lost it, can do nothing more about it.

use crate::stage::both;
use engine::{Failure, Manners, Status, Stop, What};
use serde_json::json;
use targets::db::Value;
use testkit::story;

const SQLITE: &str = "create table t (id integer primary key, n integer not null);
    create table gone (id integer not null);
    create trigger went after delete on t begin insert into gone values (old.id); end;
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 40) insert into t select i, i from c;";
const POSTGRES: &str = "create table t (id int primary key, n int not null);
    create table gone (id int not null);
    create function went() returns trigger language plpgsql as 'begin insert into gone values (old.id); return old; end';
    create trigger went after delete on t for each row execute function went();
    insert into t select i, i from generate_series(1, 40) i;";

fn request() -> engine::Request {
    let manners =
        Manners { batch_size: Some(5), max_percent: 100.0, min_free_disk_mb: 0, ..Manners::default() };
    story::request("purge", json!({"table": "t", "where": "n >= 0"}), manners, true)
}

fn is_superseded(outcome: &Result<engine::Report, Failure>) -> bool {
    matches!(outcome, Err(Failure::Error(error)) if error.code.as_deref() == Some("superseded"))
}

#[test]
fn whoever_was_taken_over_commits_no_batch_more_and_writes_no_line() {
    both(SQLITE, POSTGRES, |stage| {
        let before = stage.place.dump();
        let (first, second) = (stage.engine(), stage.engine());
        let plan = story::plan(&first, &request());
        let mut batches = 0;
        let mut left = 0;
        let outcome = first.run_under("run00001", 1, &plan, &Stop::default(), &mut |event| {
            batches += usize::from(matches!(event.what, What::Advanced { .. }));
            if batches != 2 || left > 0 {
                return;
            }
            // It stands still here, between two batches, with the right to maintain; another one goes on, and is stopped.
            let stop = Stop::default();
            let report = second
                .take_over("run00001", 2, &stop, &mut |_| {
                    if stage.place.rows("select id from t").len() == 15 {
                        stop.ask();
                    }
                })
                .unwrap();
            assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Cancelled, 25));
            left = stage.place.rows("select id from t").len();
            assert_eq!(left, 15);
        });
        assert!(is_superseded(&outcome), "{outcome:?}");
        assert_eq!(stage.place.rows("select id from t").len(), left, "it did something more");
        let lines = stage.engine().events("run00001", 0).unwrap();
        assert!(!lines.iter().any(|event| matches!(event.what, What::Failed { .. })), "{lines:#?}");
        let report = stage.engine().take_over("run00001", 3, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 40));
        assert_eq!(stage.place.rows("select distinct id from gone").len(), 40);
        assert_eq!(stage.place.rows("select id from gone").len(), 40);
        // Late, late.
        for (term, outcome) in [
            (1, first.run_under("run00001", 1, &plan, &Stop::default(), &mut |_| {})),
            (2, second.take_over("run00001", 2, &Stop::default(), &mut |_| {})),
        ] {
            assert!(is_superseded(&outcome), "{term}: {outcome:?}");
        }
        stage.place.script("delete from gone");
        stage.undo(&report.run_id);
        assert_eq!(stage.place.dump(), before);
    });
}

#[test]
fn whoever_could_not_begin_a_run_cannot_begin_it_when_another_has() {
    both(SQLITE, POSTGRES, |stage| {
        let (first, second) = (stage.engine(), stage.engine());
        let plan = story::plan(&first, &request());
        let report = second.run_under("run00002", 2, &plan, &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 40));
        let outcome = first.run_under("run00002", 1, &plan, &Stop::default(), &mut |_| {});
        assert!(is_superseded(&outcome), "{outcome:?}");
        assert_eq!(stage.engine().reports(10, None, None).unwrap().len(), 1);
    });
}

#[test]
fn a_run_that_is_resumed_by_a_person_is_under_the_term_of_the_last_worker() {
    both(SQLITE, POSTGRES, |stage| {
        let engine = stage.engine();
        let plan = story::plan(&engine, &request());
        let stop = Stop::default();
        let stopped = engine.run_under("run00003", 4, &plan, &stop, &mut |event| {
            if let What::Advanced { .. } = event.what {
                stop.ask();
            }
        });
        assert_eq!(stopped.unwrap().status, Status::Cancelled);
        let report = stage.engine().resume("run00003", &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 40));
        let own = if stage.place.is_sqlite() { "sexton_checkpoints" } else { "sexton.checkpoints" };
        let term = stage.place.rows(&format!("select term from {own}"));
        let number = match &term[0][0] {
            Value::Text(text) => text.parse::<i64>().unwrap(),
            other => other.as_int().unwrap(),
        };
        assert_eq!(number, 4);
        let late = stage.engine().take_over("run00003", 3, &Stop::default(), &mut |_| {});
        assert!(is_superseded(&late), "{late:?}");
    });
}

#[test]
fn checkpoints_of_an_earlier_version_get_their_terms() {
    both(SQLITE, POSTGRES, |stage| {
        let half = engine::Request {
            operations: vec![engine::OperationRequest {
                options: json!({"table": "t", "where": "n <= 20"}),
                ..request().operations[0].clone()
            }],
            ..request()
        };
        let engine = stage.engine();
        engine.run(&story::plan(&engine, &half), &Stop::default(), &mut |_| {}).unwrap();
        let own = if stage.place.is_sqlite() { "sexton_checkpoints" } else { "sexton.checkpoints" };
        stage.place.script(&format!("alter table {own} drop column term"));
        let engine = stage.engine();
        let report = engine.run(&story::plan(&engine, &request()), &Stop::default(), &mut |_| {}).unwrap();
        assert_eq!((report.status, report.operations[0].rows_deleted), (Status::Completed, 20));
        assert_eq!(stage.place.rows(&format!("select term from {own}")).len(), 2);
    });
}

#[test]
fn a_run_that_comes_to_its_end_while_it_is_looked_at_is_never_called_dead() {
    both(SQLITE, POSTGRES, |stage| {
        let (works, looks) = (stage.engine(), stage.engine());
        let plan = story::plan(&works, &engine::Request { dry_run: true, ..request() });
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                for n in 0..60 {
                    let id = format!("run{n:05}");
                    works.run_as(&id, &plan, &Stop::default(), &mut |_| {}).unwrap();
                }
            });
            while !worker.is_finished() {
                let Some(last) = looks.reports(1, None, None).unwrap().into_iter().next() else { continue };
                let record = looks.run_record(&last.run_id).unwrap();
                assert!(last.status != Status::Interrupted && !record.interrupted, "{}", last.run_id);
            }
        });
    });
}
