//! `sexton index drop`: what it shows and refuses, and the way back.

use crate::kit::Desk;
use testkit::Place;

const TABLES: &str = "create table t (id integer primary key, a text unique, b integer);
    create index t_b on t (b); create index t_b_again on t (b); insert into t values (1, 'x', 2);";

#[test]
fn an_index_goes_by_its_name_and_comes_back() {
    // S1-056
    for desk in [Desk::empty(), Desk::at(Place::postgres())] {
        let url = if desk.place.is_sqlite() { "app.db".to_owned() } else { desk.place.url() };
        let sexton = |line: &str| desk.sexton(&format!("{line} --database '{url}'"));
        desk.place.script(TABLES);
        let before = desk.place.dump();
        let dry = sexton("index drop t_b --dry-run").ends(0);
        for text in ["drop t_b, undo kept until", "made by", "uses", "1 step would be done"] {
            assert!(dry.stdout.contains(text), "{text} is not in {}", dry.shown());
        }
        assert!(dry.stdout.to_lowercase().contains("create index t_b on"), "{}", dry.shown());
        assert_eq!(desk.place.dump(), before);
        // Nobody is there to be asked.
        sexton("index drop t_b").ends(3);
        let done = sexton("index drop t_b --yes").ends(0);
        assert!(
            done.stdout.contains("1 index dropped") && done.stdout.contains("undo   sexton undo"),
            "{}",
            done.shown()
        );
        assert!(!desk.place.dump().contains("t_b on") && desk.place.dump().contains("t_b_again"));
        let list = sexton("undo list").ends(0);
        assert!(list.stdout.contains(" t"), "{}", list.shown());
        let shown = sexton("undo show latest").ends(0);
        assert!(shown.stdout.contains("the index t_b of t"), "{}", shown.shown());
        let json = sexton("undo show latest --output json").ends(0).json();
        assert_eq!(
            (json["indexes"][0]["state"].as_str(), json["indexes"][0]["name"]["name"].as_str()),
            (Some("gone"), Some("t_b"))
        );
        let undone = sexton("undo latest").ends(0);
        assert!(undone.stdout.contains("1 index put back"), "{}", undone.shown());
        assert_eq!(desk.place.dump(), before);
        sexton("undo drop --all --yes").ends(0);
        assert_eq!(desk.place.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn what_must_stay_is_refused_and_mistakes_are_told() {
    let desk = Desk::empty();
    desk.place.script(TABLES);
    let refused = desk.sexton("index drop sqlite_autoindex_t_1 --database app.db --yes --force").ends(3);
    assert!(
        refused.stdout.contains("keeps the constraint") && refused.stderr.contains("migration"),
        "{}",
        refused.shown()
    );
    let unknown = desk.sexton("index drop t_bb --database app.db --yes").ends(2);
    assert!(unknown.stderr.contains("there is no index `t_bb`"), "{}", unknown.shown());
    desk.sexton("index drop --database app.db --yes").ends(2);
    desk.sexton("index").ends(2);
    let spare = desk.sexton("index drop --redundant --database app.db --yes --output json").ends(0).json();
    assert_eq!(spare["index"]["indexes"][0]["name"], "t_b_again", "{spare}");
}

#[test]
fn an_operation_of_the_configuration_does_the_same() {
    let desk = Desk::empty();
    desk.place.script(TABLES);
    desk.write(
        "sexton.toml",
        "[database.main]\nurl = \"app.db\"\n[operation.spare]\nkind = \"index\"\nredundant = true\nunused_for = \"30 days\"\n",
    );
    let plan = desk.sexton("plan spare").ends(0);
    assert!(plan.stdout.contains("drop t_b_again"), "{}", plan.shown());
    desk.sexton("run spare --yes").ends(0);
    desk.sexton("run spare --yes").ends(0);
    desk.sexton("undo latest").ends(0);
}

#[test]
fn the_doctor_names_the_command() {
    let desk = Desk::empty();
    desk.place.script(TABLES);
    let said = desk.sexton("doctor app.db");
    assert!(said.stdout.contains("sexton index drop t_b_again"), "{}", said.shown());
}
