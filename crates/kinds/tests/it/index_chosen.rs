//! Which indexes `index` takes, and which stay: rules of the data, keys of others, use here and on standbys.

use crate::stage::{Stage, both, codes, manners};
use engine::{Level, Plan, Status};
use serde_json::{Value as Json, json};
use testkit::{Place, story};

const TABLES: &str = "create table p (id integer primary key, code text unique, name text, nick text);
    create unique index p_name on p (name); create unique index p_nick on p (nick);
    create table t (id integer primary key, a text, b integer, p_id integer references p (id));
    create index t_a on t (a); create index t_ab on t (a, b); create index t_p on t (p_id);";

fn plan(stage: &Stage, options: Json) -> Plan {
    story::plan(&stage.engine(), &story::request("index", options, manners(), false))
}

fn objects(plan: &Plan) -> Vec<&str> {
    plan.items[0].steps.iter().map(|step| step.object.as_str()).collect()
}

/// The one finding about a name, with whether it may be forced.
fn refusal(stage: &Stage, name: &str) -> (String, bool) {
    let plan = plan(stage, json!({"drop": [name]}));
    let finding = plan.items[0].findings.iter().find(|finding| finding.level == Level::Refuse);
    let finding = finding.unwrap_or_else(|| panic!("{name} may go: {:?}", plan.items[0].steps));
    assert_eq!(plan.items[0].steps.len(), usize::from(finding.forcible), "{finding:?}");
    let report = story::run(&stage.engine(), &plan);
    assert_eq!(report.status, Status::Refused, "{report:#?}");
    (finding.code.clone(), finding.forcible)
}

#[test]
fn rules_of_the_data_and_keys_of_others_stay() {
    // S1-056: primary key and unique ones are no candidates
    both(TABLES, TABLES, |stage| {
        let code = if stage.place.is_sqlite() { "sqlite_autoindex_p_1" } else { "p_code_key" };
        assert_eq!(refusal(stage, code), ("constraint".to_owned(), false));
        assert_eq!(refusal(stage, "t_p"), ("foreign_key".to_owned(), true));
        assert_eq!(refusal(stage, "p_name"), ("unique".to_owned(), true));
        stage.place.script("create table q (nick text references p (nick)); create index q_nick on q (nick)");
        assert_eq!(refusal(stage, "p_nick"), ("referenced".to_owned(), false));
        if !stage.place.is_sqlite() {
            assert_eq!(refusal(stage, "p_pkey"), ("constraint".to_owned(), false));
            stage.place.script(
                "alter table t alter column b set not null; create unique index t_b on t (b);
                alter table t replica identity using index t_b",
            );
            assert_eq!(refusal(stage, "t_b"), ("identity".to_owned(), false));
        }
    });
    let stage = Stage::new(Place::postgres());
    stage.place.script(
        "create table p (id int, k int) partition by range (k); create table p1 partition of p for values from (0) to (10);
         create index p_id on p (id)",
    );
    assert_eq!(refusal(&stage, "p_id"), ("partitioned".to_owned(), false));
    assert_eq!(refusal(&stage, "p1_id_idx"), ("partitioned".to_owned(), false));
}

#[test]
fn an_index_in_use_goes_only_when_it_is_forced() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(TABLES);
    stage.place.script("insert into t select i, 'a' || i, i from generate_series(1, 100) i");
    stage.place.script(
        "set enable_seqscan = off; set enable_bitmapscan = off; select * from t where a = 'a5' order by a",
    );
    stage.counted();
    let used = if stage.number("select idx_scan from pg_stat_user_indexes where indexrelname = 't_ab'") > 0 {
        "t_ab"
    } else {
        "t_a"
    };
    // The beginning of the other is superfluous, used or not.
    stage.place.script(&format!("drop index {}", if used == "t_a" { "t_ab" } else { "t_a" }));
    let plan = plan(&stage, json!({"drop": [used]}));
    assert_eq!(codes(&plan), ["in_use"]);
    assert!(plan.items[0].findings[0].what.contains("was used 1 time in"), "{:?}", plan.items[0].findings);
    let uses = plan.items[0].steps[0].facts.iter().find(|(name, _)| name == "uses").unwrap();
    assert!(uses.1.starts_with("1 time in"), "{uses:?}");
}

#[test]
fn the_superfluous_ones_are_found_on_both() {
    both(TABLES, TABLES, |stage| {
        stage.place.script("create index t_p_again on t (p_id)");
        let plan = plan(stage, json!({"redundant": true}));
        assert_eq!(objects(&plan), ["t_p_again", "t_a"], "{:?}", plan.items[0].findings);
        let why = plan.items[0].steps[1].facts.iter().find(|(name, _)| name == "why").unwrap();
        assert!(why.1.contains("beginning of `t_ab`"), "{why:?}");
        let report = story::run(&stage.engine(), &plan);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        let large = self::plan(stage, json!({"redundant": true, "at_least_mb": 1}));
        assert_eq!(objects(&large), Vec::<&str>::new());
    });
}

#[test]
fn half_built_ones_go() {
    let stage = Stage::new(Place::postgres());
    stage.place.script(TABLES);
    stage.place.script("insert into t values (1, 'x', 1), (2, 'x', 1)");
    assert!(stage.place.try_script("create unique index concurrently t_once on t (a)").is_err());
    let plan = plan(&stage, json!({"invalid": true}));
    assert_eq!(objects(&plan), ["t_once"]);
    let report = story::run(&stage.engine(), &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(stage.list("select count(*) from pg_class where relname = 't_once'"), ["0"]);
}

#[test]
fn what_nothing_uses_goes_when_it_was_counted_for_long_enough() {
    // S1-056; statistics that were reset yesterday say nothing
    both(TABLES, TABLES, |stage| {
        let young = plan(stage, json!({"unused_for": "30 days"}));
        assert_eq!(objects(&young), Vec::<&str>::new());
        if stage.place.is_sqlite() {
            assert_eq!(codes(&young), ["not_counted"]);
            return;
        }
        assert_eq!(codes(&young), ["young_statistics"], "{:?}", young.items[0].findings);
        let said = &young.items[0].findings[0];
        assert!(
            said.what.contains(" only, and `unused_for` asks for 30 days") && said.level == Level::Warning,
            "{said:?}"
        );
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let old = plan(stage, json!({"unused_for": "1s"}));
        // Not what is unique, keeps a constraint or serves a foreign key.
        assert_eq!(objects(&old), ["t_a", "t_ab"], "{:?}", old.items[0].findings);
        let uses = old.items[0].steps[0].facts.iter().find(|(name, _)| name == "uses").unwrap();
        assert!(uses.1.starts_with("never in "), "{uses:?}");
        stage.place.script("insert into t select i, 'a' || i, i from generate_series(1, 100) i");
        stage.place.script("set enable_seqscan = off; select * from t where a = 'a5' and b = 5");
        stage.counted();
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let one = plan(stage, json!({"unused_for": "60 days"}));
        assert_eq!(objects(&one), Vec::<&str>::new(), "too young: {:?}", codes(&one));
    });
}
