//! A mistake in the configuration keeps nobody from stopping a run, putting one back, or looking at the log.

use crate::kit::{CONFIG, Desk};

#[test]
fn undo_runs_and_stop_go_on_with_what_holds_of_a_broken_configuration() {
    let mistakes = [
        "\n[operation.more]\nkind = \"nosuch\"\n",
        "\n[operation.more]\nkind = purge\n",
        "\n[database.other]\nurl = 7\n",
        "\nthis is no toml\n",
    ];
    for mistake in mistakes {
        let desk = Desk::empty();
        desk.place.script(crate::kit::AUDIT);
        let config = format!("[state]\nfolder = \"memory\"\n{CONFIG}");
        desk.write("sexton.toml", &config);
        desk.sexton("run logs --yes").ends(0);
        desk.write("sexton.toml", &format!("{config}{mistake}"));
        desk.sexton("run logs --yes").ends(2);
        let said = desk.sexton("runs list --output json").ends(0);
        assert_eq!(said.json()["runs"].as_array().map(Vec::len), Some(1), "{mistake}: {}", said.shown());
        assert!(said.stderr.contains("config check"), "{}", said.stderr);
        let said = desk.sexton("stop latest").ends(2);
        assert!(said.stderr.contains("is over"), "{}", said.stderr);
        desk.sexton("undo latest --yes").ends(0);
        assert_eq!(desk.count("audit_log"), 400, "{mistake}");
    }
}

#[test]
fn a_broken_place_of_the_state_is_not_replaced_by_another() {
    let desk = Desk::ready();
    desk.write("sexton.toml", &format!("[state]\nfoldr = \"memory\"\n{CONFIG}"));
    let said = desk.sexton("runs list").ends(2);
    assert!(said.stderr.contains("foldr"), "{}", said.stderr);
    assert!(!desk.file(".sexton").exists() && !desk.file("memory").exists());
}
