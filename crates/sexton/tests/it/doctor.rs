//! `sexton doctor`: no configuration, one page, the right exit code, nothing changed.

use crate::kit::Desk;
use testkit::Place;

const SICK: &str = "create table p (id integer primary key); create table c (id integer primary key, p integer references p);
    insert into c values (1, 9); create index one on c (p); create index two on c (p);";

#[test]
fn a_file_is_looked_at_without_a_configuration() {
    let desk = Desk::empty();
    desk.place.script(SICK);
    let before = desk.place.dump();
    let said = desk.sexton("doctor app.db").ends(5);
    for text in [
        "look at these",
        "1 row refer",
        "mend: ",
        "good to know",
        "is the same as `one`",
        "sexton index drop two",
    ] {
        assert!(said.stdout.contains(text), "{text} is not in\n{}", said.stdout);
    }
    assert!(said.stdout.starts_with("doctor ") && said.stderr.is_empty(), "{}", said.shown());
    assert_eq!(desk.place.dump(), before);
    assert!(desk.place.leftovers().is_empty());
    desk.place.script("delete from c; drop index two");
    desk.sexton("doctor --database app.db").ends(0);
}

#[test]
fn a_json_page_says_how_it_is() {
    // S1-061
    let desk = Desk::empty();
    desk.place.script(SICK);
    let json = desk.sexton("doctor ./app.db --output json").ends(5).json();
    assert_eq!((json["schema_version"].as_u64(), json["passed"].as_bool()), (Some(1), Some(false)));
    let one = &json["databases"][0];
    assert_eq!(one["database"]["type"], "sqlite");
    assert_eq!(one["findings"][0]["code"], "orphans");
    assert!(one["findings"][0]["remedy"].as_str().unwrap().contains("orphans scan"));
    assert!(one.get("sample").is_none());
    let missing = desk.sexton("doctor nosuch.db --output json").ends(2).json();
    assert_eq!(missing["success"], false);
}

#[test]
fn an_html_page_needs_nothing_else() {
    let desk = Desk::empty();
    desk.place.script(SICK);
    desk.place.script(
        "create table \"<b>x\" (id integer primary key, t text); insert into \"<b>x\" values (1, 'a')",
    );
    let html = desk.sexton("doctor app.db --output html").ends(5).stdout;
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("<svg"));
    assert!(
        !html.contains("<script")
            && !html.contains("http:")
            && !html.contains("https:")
            && !html.contains("<b>x")
    );
    assert!(html.contains("&lt;b&gt;x"));
}

#[test]
fn the_last_look_is_compared_with() {
    // S2-093
    let desk = Desk::empty();
    desk.place.script(SICK);
    let said = desk.sexton("doctor app.db --compare").ends(5).stdout;
    assert!(said.contains("there was no look before"), "{said}");
    desk.place.script("drop index two; create index three on c (p)");
    let said = desk.sexton("doctor app.db --compare --no-sample").ends(5).stdout;
    assert!(said.contains("+ duplicate index: three") && said.contains("- duplicate index: two"), "{said}");
    let said = desk.sexton("doctor app.db --compare").ends(5).stdout;
    assert!(said.contains("+ duplicate index: three"), "a look with --no-sample was kept: {said}");
}

#[test]
fn all_databases_of_a_configuration_are_looked_at() {
    let desk = Desk::ready();
    desk.write("sexton.toml", "[database.main]\nurl = \"app.db\"\n[database.gone]\nurl = \"gone.db\"\n");
    let said = desk.sexton("doctor");
    assert!(said.stdout.contains("doctor main: SQLite") && said.stderr.contains("gone:"), "{}", said.shown());
    assert_ne!(said.code, 0, "one could not be looked at");
    let said = desk.sexton("doctor main").ends(0);
    assert!(!said.stdout.contains("gone"), "{}", said.shown());
}

#[test]
fn a_server_is_looked_at_by_its_url() {
    let place = Place::postgres();
    place.script("create table t (id serial primary key); select setval('t_id_seq', 2100000000)");
    let desk = Desk::at(place);
    let url = desk.place.url();
    let said = desk.sexton(&format!("doctor '{url}'")).ends(5).stdout;
    assert!(said.contains("2 100 000 000 of 2 147 483 647 values are used (97 %)"), "{said}");
}

#[test]
fn files_that_are_no_database_are_errors_with_help() {
    let desk = Desk::empty();
    desk.write(
        "text.db",
        "this is no database, whatever it is called, and it is long enough to be read as one",
    );
    let said = desk.sexton("doctor text.db").ends(1);
    assert!(
        said.stderr.contains("is not a SQLite database") && said.stderr.contains("help:"),
        "{}",
        said.shown()
    );
    desk.write("empty.db", "");
    let said = desk.sexton("doctor empty.db").ends(0);
    assert!(said.stdout.contains("0 tables"), "{}", said.shown());
    let said = desk.sexton("doctor").ends(2);
    assert!(said.stderr.contains("no database was named"), "{}", said.shown());
}

#[test]
fn an_operation_that_failed_is_told_with_its_log() {
    // S3-057
    let desk = Desk::ready();
    desk.place.script(
        "create trigger stays before delete on audit_log begin select raise(abort, 'not today'); end",
    );
    desk.sexton("run logs --yes --force").ends(1);
    let said = desk.sexton("doctor").ends(5).stdout;
    assert!(said.contains("logs failed when it last ran") && said.contains("not today"), "{said}");
    assert!(said.contains("mend: sexton runs show ") && said.contains("runs.jsonl"), "{said}");
    assert!(said.contains("disk used"), "{said}");
    desk.place.script("drop trigger stays");
    desk.sexton("run logs --yes").ends(0);
    assert!(!desk.sexton("doctor").stdout.contains("failed when it last ran"), "it is mended");
    let gone = desk.sexton("doctor postgres://nobody@127.0.0.1:1/none").ends(1);
    assert!(gone.stderr.contains("127.0.0.1") && gone.stderr.contains("help: "), "{}", gone.stderr);
}
