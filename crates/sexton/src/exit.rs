//! The exit codes, all of them, in one place. They are a promise to scripts: numbers never change their meaning.

use engine::{Class, Failure, Report, Status};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done = 0,
    /// 1: failed.
    Failed = 1,
    /// 2: wrong usage or configuration. Nothing was run.
    Usage = 2,
    /// 3: refused by a guard, by a policy, or by the person who was asked. Nothing was changed by what was refused.
    Refused = 3,
    /// 4: stopped in good order; `sexton resume` goes on.
    Stopped = 4,
    /// 5: done, but the verification found something, two schemas differ, or some databases of a fleet failed.
    Findings = 5,
    /// 6: the database is being maintained by someone else.
    Busy = 6,
    /// 7: an undo could not put everything back.
    UndoIncomplete = 7,
}

/// Each code with its meaning, for the reference and `--help`.
pub const MEANINGS: [(u8, &str); 8] = [
    (0, "done, or nothing to do"),
    (1, "failed"),
    (2, "wrong usage or configuration; nothing was run"),
    (3, "refused by a guard, a policy, or the person who was asked"),
    (4, "stopped in good order; `sexton resume ID` goes on"),
    (
        5,
        "done, but the verification found something, two schemas differ, or some databases of a fleet failed",
    ),
    (6, "the database is being maintained by someone else"),
    (7, "an undo could not put everything back"),
];

impl Exit {
    /// What a run came to. The worst of its operations decides: failed, refused, stopped, findings.
    pub fn of_report(report: &Report) -> Exit {
        let any =
            |wanted: &[Status]| report.operations.iter().any(|operation| wanted.contains(&operation.status));
        let undo = report
            .operations
            .iter()
            .any(|operation| ["undo", "restore-archive"].contains(&operation.kind.as_str()));
        if any(&[Status::Failed, Status::Running, Status::Verifying]) {
            Exit::Failed
        } else if any(&[Status::Refused]) {
            Exit::Refused
        } else if any(&[Status::Cancelled, Status::TimedOut]) {
            Exit::Stopped
        } else if any(&[Status::Partial]) {
            if undo { Exit::UndoIncomplete } else { Exit::Findings }
        } else {
            Exit::Done
        }
    }

    /// What a failure before or outside a run means.
    pub fn of_failure(failure: &Failure) -> Exit {
        match failure {
            Failure::Busy { .. } => Exit::Busy,
            Failure::Error(error) => Exit::of_class(error.class),
            Failure::Fault(_) => Exit::Failed,
        }
    }

    /// The same by class.
    pub fn of_class(class: Class) -> Exit {
        match class {
            Class::Usage => Exit::Usage,
            Class::Transient | Class::Data | Class::System => Exit::Failed,
        }
    }
}
