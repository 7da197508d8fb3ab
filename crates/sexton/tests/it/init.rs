//! The drafted configuration.

use crate::kit::Desk;
use insta::assert_snapshot;

const TABLES: &str = "create table users (id integer primary key, email text);
create table audit_log (id integer primary key, user_id integer, created_at text);
create table api_logs (id integer primary key, user_id integer references users (id), created_at text);
create table sessions (id text primary key, user_id integer, expires_at text);
create table task_queue (id integer primary key, status text, updated_at text);
create table documents (id integer primary key, title text, deleted_at text);
create table \"odd name\" (id integer primary key, history text)";

#[test]
fn a_draft_names_what_looks_like_it_could_be_cleaned() {
    let desk = Desk::empty();
    desk.place.script(TABLES);
    let said = desk.sexton("init app.db").ends(0);
    assert_snapshot!(said.stdout.replace(version_of(&said.stdout), "[version]"));
}

fn version_of(draft: &str) -> &str {
    draft.split(' ').nth(6).unwrap().trim_end_matches(':')
}

#[test]
fn a_draft_is_a_good_configuration_that_can_be_planned() {
    let desk = Desk::empty();
    desk.place.script(TABLES);
    desk.sexton("init app.db --write").ends(0);
    desk.sexton("config check").ends(0);
    desk.sexton("plan --all").ends(0);
    let said = desk.sexton("init app.db --write").ends(2);
    assert!(said.stderr.contains("exists"), "{}", said.stderr);
}

#[test]
fn a_draft_works_where_a_configuration_is_being_made() {
    // The shell has made an empty sexton.toml when it redirects.
    let desk = Desk::empty();
    desk.place.script(TABLES);
    desk.write("sexton.toml", "half a line");
    desk.sexton("init ./app.db").ends(0);
}

#[test]
fn a_database_of_unknown_tables_gets_an_example() {
    let desk = Desk::empty();
    desk.place.script("create table things (id integer primary key)");
    let said = desk.sexton("init app.db").ends(0);
    assert!(said.stdout.contains("# [operation.logs]"), "{}", said.stdout);
    desk.write("sexton.toml", &said.stdout);
    desk.sexton("config check").ends(0);
}

#[test]
fn a_password_of_the_url_does_not_get_into_the_draft() {
    // W-108
    let desk = Desk::at(testkit::Place::postgres());
    desk.place.script("create table audit_log (id bigint primary key, created_at timestamptz)");
    let url = desk.place.url();
    let mark = if url.contains('?') { '&' } else { '?' };
    let said = desk.sexton(&format!("init {url}{mark}password=hunter2-s3cret")).ends(0);
    assert!(said.stdout.contains("[operation.audit_log]"), "{}", said.stdout);
    assert!(!said.stdout.contains("s3cret") && !said.stderr.contains("s3cret"), "{}", said.shown());
}

#[test]
fn a_log_is_known_by_its_schema_and_its_only_moment() {
    let desk = Desk::at(testkit::Place::postgres());
    desk.place.script(
        "create schema audit; create table audit.entries (id bigint primary key, at timestamptz);
         create table app_log (id bigint primary key, noticed timestamptz);
         create table two_logs (id bigint primary key, noticed timestamptz, forgotten timestamptz)",
    );
    let said = desk.sexton(&format!("init {}", desk.place.url())).ends(0).stdout;
    assert!(said.contains("table = \"audit.entries\"\nage_column = \"at\""), "{said}");
    assert!(said.contains("table = \"app_log\"\nage_column = \"noticed\""), "{said}");
    assert!(!said.contains("two_logs"), "{said}");
}

#[test]
fn names_in_other_styles_are_known_too() {
    for place in [testkit::Place::sqlite(), testkit::Place::postgres()] {
        let moment = if place.is_sqlite() { "text" } else { "timestamptz" };
        place.script(&format!(
            r#"create table "AuditLog" ("id" integer primary key, "createdAt" {moment}, "userId" integer);
               create table "UserSession" ("id" integer primary key, "expiresAt" {moment}, "paid" integer);
               create table "audit log" ("id" integer primary key, "Created At" {moment});
               create table "Users" ("id" integer primary key, "name" text)"#
        ));
        let desk = Desk::at(place);
        let url = desk.place.url();
        let draft = desk.sexton(&format!("init {url}")).ends(0).stdout;
        for expected in ["createdAt", "expiresAt", "Created At", "userId"] {
            assert!(draft.contains(expected), "{expected}: {draft}");
        }
        assert!(!draft.contains("paid"), "{draft}");
    }
}
