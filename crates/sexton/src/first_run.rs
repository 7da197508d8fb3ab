//! The policy that nothing runs for the first time without having been looked at (`first_run_dry`): at the command line, in
//! schedules and by calls alike.

use crate::config::Config;
use crate::trouble::Trouble;
use engine::{Engine, Failure, OperationRequest, Report, Status};

/// So many runs of an operation are looked through.
const RUNS: u64 = 1_000;

/// Refuses what had no dry run yet, where the configuration asks for one.
pub fn check<'a>(
    engine: &Engine,
    config: &Config,
    operations: impl IntoIterator<Item = &'a OperationRequest>,
) -> Result<(), Trouble> {
    if !config.first_run_dry {
        return Ok(());
    }
    for operation in operations {
        if !was_looked_at(engine, operation)? {
            let name = &operation.name;
            return Err(Trouble::refused(
                format!("`{name}` had no dry run yet, and `first_run_dry` asks for one; nothing was run"),
                format!("look at it first: `sexton run {name} --dry-run`"),
            ));
        }
    }
    Ok(())
}

fn was_looked_at(engine: &Engine, operation: &OperationRequest) -> Result<bool, Failure> {
    if ["undo", "restore-archive"].contains(&operation.kind.as_str()) {
        return Ok(true);
    }
    let name = &operation.name;
    let done = |report: &Report| {
        report.metadata.dry_run
            && report.operations.iter().any(|one| one.operation == *name && one.status != Status::Failed)
    };
    Ok(engine.reports(RUNS, None, Some(name))?.iter().any(done))
}
