//! What users and surroundings get wrong: each is told with its object, its class and something to do, ends as documented,
//! and changes nothing.

use crate::kit::Desk;
use testkit::Place;

/// Asks for something wrong; `said` is what the message must name.
fn refused(desk: &Desk, line: &str, (code, class, said): (i32, &str, &str)) {
    let before = desk.place.dump();
    let document = desk.sexton(&format!("{line} --yes --output json")).ends(code).json();
    let told = format!("{} {}", document["error"], document["causes"]);
    assert!(told.contains(said), "{line}: {document:#}");
    assert_eq!(document["error_class"], class, "{line}: {document:#}");
    assert_eq!(document["exit_code"], code, "{line}");
    assert!(document["help"].as_str().is_some_and(|help| help.len() > 10), "{line}: {document:#}");
    assert_eq!(desk.place.dump(), before, "{line}");
}

#[test]
fn each_mistake_is_told_with_its_object_its_class_and_something_to_do() {
    // S1-086, S3-045
    let desk = Desk::ready();
    desk.write("text.db", "this is no database, although it is longer than the head of one would have to be");
    let whole = std::fs::read(desk.place.url()).unwrap();
    std::fs::write(desk.file("cut.db"), &whole[..whole.len() / 2]).unwrap();
    let purge = "purge --table audit_log --where 'id = 1'";
    for (line, outcome) in [
        ("purge --table audit_lgo --where 'id = 1'", (2, "usage", "`audit_lgo`")),
        ("purge --table audit_log --age-column creatd --older-than 1d", (2, "usage", "`creatd`")),
        (
            "purge --table audit_log --age-column action --older-than 1d",
            (2, "usage", "`action` of `audit_log`"),
        ),
        ("purge --table audit_log --where 'action ='", (2, "usage", "`action =`")),
        ("purge --table audit_log --where 'nothing = 1'", (2, "usage", "`nothing = 1`")),
        ("purge --table audit_log", (2, "usage", "`audit_log` has no limit")),
        ("run lgos", (2, "usage", "`lgos`")),
        ("run logs --older-than soon", (2, "usage", "`soon`")),
        (&format!("{purge} --database ./gone.db"), (2, "usage", "gone.db")),
        (&format!("{purge} --database ./"), (2, "usage", "is a directory")),
        (&format!("{purge} --database ./text.db"), (1, "system", "text.db")),
        (&format!("{purge} --database ./cut.db"), (1, "system", "cut.db")),
        (&format!("{purge} --database mian"), (2, "usage", "`mian`")),
        (&format!("{purge} --database mysql://host/db"), (2, "usage", "`mysql`")),
        ("undo nosuch", (2, "usage", "`nosuch`")),
        ("resume nosuch", (2, "usage", "`nosuch`")),
    ] {
        refused(&desk, line, outcome);
    }
    assert!(!desk.file("gone.db").exists(), "nothing is made by accident");
}

#[test]
fn an_empty_folder_is_told_how_to_begin() {
    for line in ["plan", "run", "run --all", "plan logs"] {
        let said = Desk::empty().sexton(line).ends(2);
        assert!(said.stderr.contains("sexton init DATABASE > sexton.toml"), "{}", said.shown());
    }
}

#[test]
fn a_state_that_cannot_be_used_keeps_a_run_from_its_work() {
    // S1-086, W-115
    let desk = Desk::ready();
    let state = desk.file(".sexton/state.db");
    std::fs::create_dir(desk.file(".sexton")).unwrap();
    std::fs::write(
        &state,
        "this is no database, although it is longer than the head of one would have to be",
    )
    .unwrap();
    refused(&desk, "run logs", (1, "system", "`state`"));
    std::fs::remove_file(&state).unwrap();
    desk.sexton("run logs --dry-run").ends(0);
    let place = Place::elsewhere(&state.display().to_string());
    place.script("update sexton_meta set format = 1000");
    refused(&desk, "run logs", (1, "system", "has format 1000"));
    desk.sexton("plan logs").ends(0);
    place.script("update sexton_meta set format = 1");
    desk.sexton("run logs --yes").ends(0);
}
