//! Who allowed this run: nobody needs to for LOW, a person at the terminal, or `--yes`.
//!
//! Not on a terminal nothing is ever asked; what would need an answer is refused.

use super::console::Console;
use super::numbers::rows;
use crate::trouble::Trouble;
use engine::{Item, Plan, Severity, is_refused};

/// Asks as much as the severities demand.
pub fn ask(plan: &Plan, console: &Console) -> Result<(), Trouble> {
    let waiting: Vec<&Item> =
        plan.items.iter().filter(|item| needs_consent(item, plan.request.force)).collect();
    if waiting.is_empty() || console.yes {
        return Ok(());
    }
    let names: Vec<&str> = waiting.iter().map(|item| item.operation.name.as_str()).collect();
    if !console.can_ask() {
        return Err(Trouble::refused(
            format!(
                "{} {} consent, and nobody can be asked here; nothing was run",
                quoted(&names),
                if names.len() == 1 { "needs" } else { "need" }
            ),
            "look at it with `--dry-run`, then allow it with `--yes`",
        ));
    }
    let declined = || Trouble::refused("not allowed; nothing was run", "`--dry-run` shows it without asking");
    let (critical, other): (Vec<&Item>, Vec<&Item>) =
        waiting.into_iter().partition(|item| item.operation.severity == Severity::Critical);
    if !other.is_empty() {
        let names: Vec<&str> = other.iter().map(|item| item.operation.name.as_str()).collect();
        let matched = other.iter().map(|item| item.matched()).sum();
        let question = format!("Run {} ({})? [y/N]", quoted(&names), rows(matched));
        let answer = console.ask(&question).unwrap_or_default().to_lowercase();
        if answer != "y" && answer != "yes" {
            return Err(declined());
        }
    }
    for item in critical {
        let name = &item.operation.name;
        let question = format!("`{name}` is CRITICAL ({}). Type its name to run it:", rows(item.matched()));
        if console.ask(&question).as_deref() != Some(name.as_str()) {
            return Err(declined());
        }
    }
    Ok(())
}

/// Yes or no for something that is no run.
pub fn confirm(question: &str, console: &Console) -> Result<(), Trouble> {
    if console.yes {
        return Ok(());
    }
    if !console.can_ask() {
        return Err(Trouble::refused(
            "this needs consent, and nobody can be asked here",
            "allow it with `--yes`",
        ));
    }
    match console.ask(&format!("{question} [y/N]")).unwrap_or_default().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Trouble::refused("not allowed; nothing was changed", "answer with `y`, or give `--yes`")),
    }
}

/// What does nothing, or is refused anyway, needs no answer.
fn needs_consent(item: &Item, force: bool) -> bool {
    let works = item.steps.iter().any(|step| step.matched > 0 || !step.exact);
    item.operation.severity > Severity::Low && item.skipped.is_none() && works && !is_refused(item, force)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
