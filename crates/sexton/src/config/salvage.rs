//! What still holds of a configuration that is wrong: where runs are remembered, databases, and stores.
//!
//! Whoever must stop a run, put one back or look at the log cannot wait until a mistake in some operation is mended. Each section
//! is taken by itself, so a file that is no TOML at one place is of use at the others. Nothing is run from what is found here.

use super::{Config, Environment, FILE, Node, Wanted, read};
use engine::Kind;
use std::path::Path;

/// The sections that are needed; also those of a profile.
const NEEDED: [&str; 3] = ["state", "database", "store"];

/// What holds of the configuration; none where not even the place of the state can be read.
pub fn load_what_holds(
    wanted: &Wanted,
    environment: &Environment,
    catalogue: &[&'static dyn Kind],
) -> Option<Config> {
    let named = wanted.file.clone().or_else(|| environment.variable("SEXTON_CONFIG").map(Into::into));
    let path = environment.folder.join(named.unwrap_or_else(|| FILE.into()));
    let text = std::fs::read_to_string(&path).ok()?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let environment = environment.with_file(folder).ok()?;
    let attempt = |text: &str| {
        let has_profile = |name: &&str| {
            Node::parse(text)
                .is_ok_and(|tree| tree.entry("profile").and_then(|all| all.entry(name)).is_some())
        };
        let profile = wanted.profile.as_deref().filter(has_profile);
        read(text, FILE, folder, profile, &environment, catalogue).ok()
    };
    let mut held = String::new();
    let mut config = attempt("")?;
    for section in sections(&text) {
        let more = format!("{held}{section}");
        match attempt(&more) {
            Some(better) => (held, config) = (more, better),
            // With another state nothing would be found, or something else.
            None if name_of(section).contains(&"state") => return None,
            None => {}
        }
    }
    config.file = Some(path);
    config.now = super::set_clock(&environment).ok()?;
    Some(config)
}

/// The needed sections as they are written, each from its head to the next one.
fn sections(text: &str) -> Vec<&str> {
    let mut heads: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            heads.push(at);
        }
        at += line.len();
    }
    let ends = heads.iter().skip(1).copied().chain([text.len()]);
    let all = heads.iter().zip(ends).map(|(from, to)| &text[*from..to]);
    all.filter(|section| name_of(section).iter().any(|part| NEEDED.contains(part))).collect()
}

/// The first part of a section's name; of a profile, the part that it lays over.
fn name_of(section: &str) -> Vec<&str> {
    let head = section.lines().next().unwrap_or_default().trim().trim_start_matches('[');
    let head = head.split(']').next().unwrap_or_default();
    let parts: Vec<&str> = head.split('.').map(|part| part.trim().trim_matches('"')).collect();
    match parts.as_slice() {
        ["profile", _, over, ..] => vec![*over],
        [first, ..] => vec![*first],
        [] => Vec::new(),
    }
}
