//! What can go wrong in a run. Sorted like database errors, so that one exit-code table serves both.

pub use targets::db::{Class, Error, Result};

/// Why the engine did not do what was asked, where that is not a database error.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A database, a file store or an option refused.
    #[error(transparent)]
    Error(#[from] Error),
    /// The right to maintain the database is held by someone else.
    #[error("database `{database}` is being maintained by {holder}")]
    Busy {
        /// Which database.
        database: String,
        /// Who holds it, as far as known.
        holder: String,
    },
    /// An armed fault point fired (tests only): the process is to be thought of as dead from here on.
    #[error("fault point `{0}` fired")]
    Fault(&'static str),
}

impl Failure {
    /// The class that decides about retries and exit codes.
    pub fn class(&self) -> Class {
        match self {
            Failure::Error(error) => error.class,
            Failure::Busy { .. } => Class::Transient,
            Failure::Fault(_) => Class::System,
        }
    }

    /// Something to do next, when known.
    pub fn help(&self) -> Option<&str> {
        match self {
            Failure::Error(error) => error.help.as_deref(),
            Failure::Busy { .. } => {
                Some("wait for it to end, watch it with `sexton runs list`, or stop it with `sexton stop ID`")
            }
            Failure::Fault(_) => None,
        }
    }
}

/// An error with its causes, one after the other.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
