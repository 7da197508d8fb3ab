//! The API as strangers use it: schemathesis makes calls of every operation of the served document, right ones and wrong ones, and
//! looks whether each answer is one that the document tells of.

use crate::api::Server;
use crate::kit::Desk;
use crate::tidy::root;
use serde_json::json;
use std::process::Command;
use testkit::Place;

/// A program of the folder that `./test` installs programs in Python into; whoever runs a test without it gets them now.
pub fn python(name: &str) -> Command {
    let program = root().join("target/python/bin").join(name);
    if !root().join("target/python/installed").exists() {
        // Tests are processes of their own: one installs, the others wait.
        let install = "mkdir -p target && exec flock target/python.lock bash -c 'set -e; . .ci/install.sh; need_python'";
        let installed = Command::new("bash").args(["-c", install]).current_dir(root()).output().unwrap();
        let said = String::from_utf8_lossy(&installed.stderr);
        assert!(installed.status.success(), "{} cannot be installed: {said}", program.display());
    }
    let mut command = Command::new(program);
    command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
    command
}

/// One of each thing that has a name, so that calls get beyond names that are not there.
pub const MORE: &str = r#"
[api]
calls_per_minute = 1_000_000
maintenance_alias = "/v1/admin/maintenance"
cleanup = { check = "check", verify = "verify", cleanup = "cleanup" }

[operation.schema]
kind = "migrate"
directory = "migrations"

[operation.copy]
kind = "backup"
"#;

fn served(role: &str) -> Server {
    served_with(role, MORE)
}

/// The service that merges duplicates, with more of a configuration.
pub fn served_with(role: &str, more: &str) -> Server {
    let place = Place::sqlite();
    place.script(include_str!("../../../../examples/e3/schema.sqlite.sql"));
    place.script(include_str!("../../../../examples/e3/seed.sqlite.sql"));
    let url = place.url();
    let mut desk = Desk::at(place);
    desk.set("E3_DATABASE", &url);
    let config = include_str!("../../../../examples/e3/sexton.toml");
    let config = config.split("\n[api").next().unwrap();
    desk.write("sexton.toml", &format!("{config}{more}"));
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write(
        "migrations/0001_note.sql",
        "-- sexton:up\ncreate table note (id integer primary key);\n-- sexton:down\ndrop table note;\n",
    );
    Server::of(desk, role)
}

/// Calls every operation; what was wrong is told by schemathesis itself.
fn fuzzed(server: &Server, parameters: &str, arguments: &[&str]) {
    let document = server.get("/api/openapi.json");
    assert_eq!(document.status, 200);
    server.desk.write("openapi.json", &document.body);
    server.desk.write("schemathesis.toml", parameters);
    let output = python("schemathesis")
        .arg("--config-file")
        .arg(server.desk.file("schemathesis.toml"))
        .arg("run")
        .arg(server.desk.file("openapi.json"))
        .args(["--url", &server.at, "--header", &format!("Authorization: Bearer {}", server.token)])
        // What fits the document may still name what is not there; everything else is checked.
        .args(["--no-color", "--generation-deterministic", "--exclude-checks", "positive_data_acceptance"])
        .args(["--request-timeout", "20"])
        .args(arguments)
        .current_dir(server.desk.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let operations: usize = document.json()["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|methods| methods.as_object().unwrap().len())
        .sum();
    assert!(operations >= 53 && said.contains(&format!("Tested: {operations}")), "{operations}: {said}");
    // Whatever came, it serves still.
    assert_eq!(server.curl(&[], "/live").json(), json!({"status": "ok"}));
}

/// Names that are there, so that calls get beyond those that are not.
const KNOWN: &str = r#"
[[operations]]
include-path-regex = "/databases/"
parameters = { "path.name" = "main" }

[[operations]]
include-path-regex = "/migrations/"
parameters = { "path.operation" = "schema" }

[[operations]]
include-path-regex = "/api/v1/schedules/"
parameters = { "path.name" = "full_cleanup" }

[[operations]]
include-path-regex = "/maintenance/schedules/"
parameters = { "path.id" = "consistency_check" }
"#;

#[test]
fn whatever_an_administrator_sends_is_answered_as_the_document_says() {
    // W-042, W-066, S2-061
    let server = served("admin");
    fuzzed(&server, "", &["--phases", "coverage,fuzzing", "--max-examples", "15"]);
}

#[test]
fn calls_with_names_that_are_there_are_answered_as_the_document_says() {
    let server = served("admin");
    fuzzed(&server, KNOWN, &["--phases", "fuzzing,stateful", "--max-examples", "10"]);
}

#[test]
fn whoever_may_only_look_or_run_is_answered_as_the_document_says() {
    for role in ["read", "run"] {
        let server = served(role);
        fuzzed(&server, "", &["--phases", "fuzzing", "--max-examples", "5"]);
    }
}
