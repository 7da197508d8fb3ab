//! The reference pages are made by the program; a stale one fails here.

use crate::kit::Desk;
use std::path::Path;

fn page(name: &str) {
    let made = Desk::empty().sexton(&format!("reference {name}")).ends(0).stdout;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(format!("{name}.md"));
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        made == kept,
        "docs/reference/{name}.md is stale: sexton reference {name} > docs/reference/{name}.md"
    );
}

#[test]
fn the_command_line_reference_is_fresh() {
    page("cli");
}

#[test]
fn the_configuration_reference_is_fresh() {
    page("config");
}

#[test]
fn the_json_reference_is_fresh() {
    page("json");
}

#[test]
fn completions_and_manual_page_are_made_from_the_same_tree() {
    let desk = Desk::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = desk.sexton(&format!("completions {shell}")).ends(0).stdout;
        assert!(script.contains("older-than"), "{shell}");
    }
    assert!(desk.sexton("man").ends(0).stdout.contains(".TH"));
}

#[test]
fn every_command_has_help() {
    // S1-010
    let desk = Desk::empty();
    for line in [
        "",
        "init",
        "plan",
        "run",
        "resume",
        "stop",
        "undo",
        "runs",
        "report",
        "audit",
        "config",
        "purge",
        "orphans",
        "orphans scan",
    ] {
        let said = desk.sexton(&format!("{line} --help")).ends(0);
        assert!(said.stdout.contains("Usage: sexton"), "{line}");
        assert_eq!(said.stderr, "", "{line}");
    }
    let top = desk.sexton("--help").ends(0).stdout;
    assert!(top.contains("Delete or archive rows"), "{top}");
}
