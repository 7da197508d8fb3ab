//! Every step of an online transfer dies once; and an application that goes there and back, again and again, has all that it wrote.

use crate::transfer_kit::Move;
use crate::transfer_online::{DEEDS, SHOP, application, error, has_moved, is_back, options};
use engine::{Failure, Status, Stop, What};
use serde_json::json;
use testkit::{Place, story};

#[test]
fn a_death_in_each_step_loses_nothing_that_the_application_wrote() {
    // W-096, S4-036, S4-040
    let asked = |it: &Move| {
        let mut asked = options(it);
        asked["stamps"] = json!(["at"]);
        asked["queries"] = json!({"tags": {"source": "select count(*) from tags where color = 'none'"}});
        asked
    };
    let steps = {
        let it = Move::of(SHOP);
        it.plan(asked(&it)).items[0].steps.clone()
    };
    let first_of_its_kind = |n: usize| !steps[..n].iter().any(|step| step.action == steps[n].action);
    let mut died = Vec::new();
    for n in (0..steps.len()).filter(|n| first_of_its_kind(*n)) {
        let it = Move::of(SHOP);
        let mut application = application(&it);
        let mut deeds = n;
        let mut write = |application: &mut backends::testing::Application| {
            if application
                .script(&format!("begin immediate; {}; commit", DEEDS[deeds % DEEDS.len()]))
                .is_err()
            {
                let _ = application.script("rollback");
            }
            deeds += 1;
        };
        let plan = it.plan_with(asked(&it), |manners| manners.batch_size = Some(100));
        let engine = it.engine();
        // now before the first statement of the step, now behind one
        let nth = 3 + (n as u32) % 3;
        let mut done = 0;
        let outcome = engine.run(&plan, &Stop::default(), &mut |event| {
            write(&mut application);
            match &event.what {
                What::Started { .. } if n == 0 => engine.faults().arm(nth + 1),
                What::StepDone { step } => {
                    done = step + 1;
                    if done == n {
                        engine.faults().arm(nth);
                    }
                }
                _ => {}
            }
        });
        drop(engine);
        let place = format!("{}: {outcome:?}", steps[n].id);
        assert!(matches!(outcome, Err(Failure::Fault(_))), "{place}");
        assert_eq!(done, n, "it died elsewhere: {place}");
        died.push(steps[n].action.clone());
        DEEDS.iter().for_each(|_| write(&mut application));
        let report = story::unless_busy(|| {
            it.engine().resume("latest", &Stop::default(), &mut |_| write(&mut application))
        })
        .unwrap();
        assert_eq!(report.status, Status::Completed, "{place} {}", error(&report));
        has_moved(&it, &place);
    }
    let all = [
        "capture", "make", "try", "load", "tell", "index", "declare", "validate", "finish", "analyze",
        "tend", "views", "compare", "ask", "follow", "cut_over", "triggers", "switch", "stamp", "end",
    ];
    assert_eq!(died, all, "every kind of step, and no new one that nobody has thought of");
}

#[test]
fn a_death_while_a_transfer_is_taken_back_leaves_nothing_once_it_is_said_again() {
    // S4-036, S4-038
    let mut died = std::collections::BTreeSet::new();
    for nth in (4..200).step_by(3) {
        let it = Move::of(SHOP);
        let (mut asked, stop) = (options(&it), Stop::default());
        asked["go_back_on"] = json!([]);
        let report = it
            .engine()
            .run(&it.plan(asked), &stop, &mut |event| {
                if matches!(&event.what, What::Advanced { detail: Some(detail), .. } if detail["followed"].is_object()) {
                    stop.ask();
                }
            })
            .unwrap();
        assert_eq!(report.status, Status::Cancelled, "{}", error(&report));
        let back = json!({"action": "rollback"});
        let plan = it.plan(back.clone());
        let engine = it.engine();
        engine.faults().arm(nth);
        let mut done = 0;
        let outcome = engine.run(&plan, &Stop::default(), &mut |event| {
            if let What::StepDone { step } = event.what {
                done = step + 1;
            }
        });
        drop(engine);
        let place = format!("point {nth}: {outcome:?}");
        if outcome.is_ok() {
            is_back(&it, &place);
            assert!(died.contains("clear_target") && died.contains("clear_source"), "{died:?}");
            return;
        }
        died.extend(plan.items[0].steps.get(done).map(|step| step.action.clone()));
        let resumed = (nth % 2 == 0).then(|| story::resumed(&it.engine(), "latest"));
        if resumed.is_none_or(|resumed| resumed.is_err()) {
            let plan = it.plan(back);
            if plan.items[0].skipped.is_none() {
                let report = story::run(&it.engine(), &plan);
                assert_eq!(report.status, Status::Completed, "{place} {}", error(&report));
            }
        }
        is_back(&it, &place);
    }
    panic!("there is no end");
}

/// What the application does, in words that both databases know; `n` makes them different.
fn deeds(n: i64) -> Vec<String> {
    let other = n * 10;
    vec![
        format!(
            "insert into people (id, name, nick, born) values ({other}, 'person {n}', 'nick {n}', '19{:02}-01-02')",
            n % 90 + 10
        ),
        format!("insert into orders (id, person, total) values ({other}, {other}, {n}.25)"),
        format!("insert into lines (order_id, no, what) values ({other}, 1, 'one'), ({other}, 2, 'two')"),
        format!("update people set name = 'renamed {n}' where id = {}", other - 20),
        // a value of which there is only one goes from one to the other
        format!("update people set nick = 'was {n}' where id = {}", other - 10),
        format!("update people set nick = 'the one' where id = {other}"),
        format!("delete from lines where order_id = {} and no = 1", other - 10),
        format!("update lines set no = 7, what = null where order_id = {} and no = 2", other - 10),
        format!("delete from lines where order_id = {}", other - 40),
        format!("delete from orders where id = {}", other - 40),
        // the row keeps its number, also beside new ones
        format!("insert into words (word, n) values ('word {n}', {n})"),
        format!("update words set n = n + 1 where word = 'word {}'", n - 1),
        "delete from words where word = 'gone'".to_owned(),
        "update words set n = n + 1 where word = 'last'".to_owned(),
        format!("update words set n = n + {n} where word = 'other'"),
    ]
}

const PEOPLE: &str = "pragma journal_mode = wal;
    create table people (id integer primary key, name text not null, nick text unique, born date);
    create table orders (id integer primary key, person integer not null references people, total real);
    create table lines (order_id integer not null references orders, no integer not null, what text, primary key (order_id, no)) without rowid;
    create table words (word text primary key, n integer not null);
    insert into people values (-10, 'first', 'nick -1', '1900-01-01'), (0, 'zero', 'the one', null);
    insert into words (rowid, word, n) values (7, 'gone', 0), (3, 'other', 5), (9, 'last', 1);";

#[test]
fn back_and_forth_with_writes_on_both_sides_nothing_is_lost() {
    // S4-036, S4-038, S4-040, W-103
    let (it, twin) = (Move::of(PEOPLE), Place::sqlite());
    twin.script(PEOPLE);
    let mut copy = twin.connect();
    copy.script("pragma synchronous = off").unwrap();
    let mut copy = |deed: &str| copy.script(deed).unwrap_or_else(|why| panic!("{deed}: {why}"));
    let file = it.workshop.folder().join("pointer");
    let mut n = 0;
    let mut next = || {
        n += 1;
        deeds(n)
    };
    for round in 1..=3 {
        std::fs::write(&file, "sqlite:///app.db\n").unwrap();
        let mut application = it.from.connect();
        application.script("pragma synchronous = off").unwrap();
        // what it was told to do elsewhere
        let mut refused: Vec<String> = Vec::new();
        // while it moves
        let plan = it.plan_with(json!({"online": true, "switch": {"file": file}}), |manners| {
            manners.batch_size = Some(10)
        });
        let report = it
            .engine()
            .run(&plan, &Stop::default(), &mut |event| {
                if !matches!(event.what, What::Advanced { .. } | What::StepDone { .. }) || !refused.is_empty()
                {
                    return;
                }
                let mut left = next().into_iter();
                while let Some(deed) = left.next() {
                    match application.script(&deed) {
                        Ok(()) => copy(&deed),
                        Err(why) => {
                            assert!(why.contains("has moved to PostgreSQL"), "{why}");
                            refused = std::iter::once(deed).chain(left.by_ref()).collect();
                        }
                    }
                }
            })
            .unwrap();
        assert_eq!(report.status, Status::Completed, "{round}: {}", error(&report));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "test\n", "{round}");
        assert!(!refused.is_empty(), "{round}: it was never told");
        // where it is now
        let more: Vec<String> = (0..4).flat_map(|_| next()).collect();
        let mut there = it.to.connect();
        for deed in refused.iter().chain(&more) {
            there.script(deed).unwrap();
            copy(deed);
        }
        let report = it.run(json!({"action": "rollback"}));
        assert_eq!(report.status, Status::Completed, "{round}: {}", error(&report));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "sqlite:///app.db\n", "{round}");
        assert_eq!(it.from.dump(), twin.dump(), "{round}");
        let refused = it.to.try_script(&deeds(1)[0]).unwrap_err();
        assert!(refused.contains("has moved back"), "{refused}");
        // and here again
        for deed in next() {
            application.script(&deed).unwrap();
            copy(&deed);
        }
        it.to.script("drop table lines, orders, people, words");
    }
    assert!(n > 30, "{n}");
    assert_eq!(it.from.dump(), twin.dump());
    assert_eq!(it.from.leftovers(), Vec::<String>::new());
}
