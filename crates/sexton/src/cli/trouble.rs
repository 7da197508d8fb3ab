//! What went wrong, ready to be told: a chain of causes, something to do, and the exit code.

use crate::config::{Fault, Problems};
use crate::exit::Exit;
use engine::{Class, Error, Failure, SCHEMA_VERSION};
use serde_json::{Value as Json, json};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Trouble {
    /// How the program ends.
    pub exit: Exit,
    /// What to do about it.
    pub class: Class,
    /// What failed, then its causes.
    pub causes: Vec<String>,
    /// Something to do.
    pub help: Option<String>,
    /// What is wrong with the configuration.
    pub problems: Option<Box<Problems>>,
}

impl Trouble {
    /// The request is wrong.
    pub fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            class: Class::Usage,
            causes: vec![what.into()],
            help: Some(help.into()),
            problems: None,
        }
    }

    /// The request is refused.
    pub fn refused(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, ..Self::usage(what, help) }
    }

    /// A failure of class data is a refusal here: something is in doubt, and so nothing was done.
    pub fn of_doubt(failure: Failure) -> Self {
        match failure.class() {
            Class::Data => Self { exit: Exit::Refused, ..Self::from(failure) },
            _ => Self::from(failure),
        }
    }

    /// The surroundings refuse.
    pub fn system(what: impl Into<String>, cause: impl ToString) -> Self {
        Self {
            exit: Exit::Failed,
            class: Class::System,
            causes: vec![what.into(), cause.to_string()],
            help: None,
            problems: None,
        }
    }

    /// As a document.
    pub fn json(&self, hidden: impl Fn(&str) -> String) -> Json {
        let mut document = json!({
            "schema_version": SCHEMA_VERSION,
            "success": false,
            "error": hidden(self.causes.first().map_or("", String::as_str)),
            "causes": self.causes.iter().skip(1).map(|cause| hidden(cause)).collect::<Vec<_>>(),
            "help": self.help.as_deref().map(&hidden),
            "error_class": self.class,
            "exit_code": self.exit as u8,
        });
        if let Some(problems) = &self.problems {
            document["problems"] = problems.lines().into();
        }
        document
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self {
            exit: Exit::of_failure(&failure),
            class: failure.class(),
            causes: chain(&failure),
            help: failure.help().map(str::to_owned),
            problems: None,
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Missing { what, help } => Self::usage(what, help),
            Fault::Wrong(problems) => Self {
                exit: Exit::Usage,
                class: Class::Usage,
                causes: vec![problems.summary()],
                help: Some(
                    "`sexton config example` shows every setting; check again with `sexton config check`"
                        .to_owned(),
                ),
                problems: Some(problems),
            },
        }
    }
}

/// What failed and why, one cause after the other; a cause that only repeats its effect is left out.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut all = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !all.last().is_some_and(|last| last.contains(&text)) {
            all.push(text);
        }
        next = cause.source();
    }
    all
}
