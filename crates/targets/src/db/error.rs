//! What can go wrong with a database, sorted by what to do about it.
//!
//! `Display` says what failed as one lowercase fragment with objects in backticks; it never contains its
//! source, which the surface prints on a line of its own.

/// The code of the error that a long batch ends with when somebody comes who would have to wait for it: nothing was done,
/// and what is tried next should be short.
pub const GAVE_WAY: &str = "gave_way";

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Network, lock time-out, deadlock, serialisation: the whole transaction may be tried again.
    Transient,
    /// The data refuse: a constraint, a cast, a conflict.
    Data,
    /// The surroundings refuse: disk full, no permission, server gone for good, corrupt file.
    System,
    /// The request is wrong: unknown object, bad SQL, bad option.
    Usage,
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Class::Transient => "transient",
            Class::Data => "data",
            Class::System => "system",
            Class::Usage => "usage",
        })
    }
}

/// An error with its class, what it was about, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    /// What to do about it.
    pub class: Class,
    /// What failed, on which object.
    pub what: String,
    /// Something to do or to type.
    pub help: Option<String>,
    /// SQLSTATE, or SQLite's extended result code.
    pub code: Option<String>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of asking a database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given class.
    pub fn new(class: Class, what: impl Into<String>) -> Self {
        Self { class, what: what.into(), help: None, code: None, source: None }
    }

    /// The request is wrong.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Class::Usage, what)
    }

    /// The data refuse.
    pub fn data(what: impl Into<String>) -> Self {
        Self::new(Class::Data, what)
    }

    /// The surroundings refuse.
    pub fn system(what: impl Into<String>) -> Self {
        Self::new(Class::System, what)
    }

    /// May be tried again.
    pub fn transient(what: impl Into<String>) -> Self {
        Self::new(Class::Transient, what)
    }

    /// Adds what to do next.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the database's own code.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds the cause.
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done before what failed, keeping class, help and cause.
    pub fn while_doing(mut self, doing: &str) -> Self {
        self.what = format!("{doing}: {}", self.what);
        self
    }
}
