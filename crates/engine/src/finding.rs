//! What a guard, a verification or an inspection found. A finding has a remedy by construction.

use serde::{Deserialize, Serialize};

/// How much it matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Note,
    /// Look at it.
    Warning,
    /// The run must not go on unless a person allows it.
    Refuse,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// Stable, for machines: `share_of_rows`, `dependants`, …
    pub code: String,
    /// How much it matters.
    pub level: Level,
    /// The table, row or setting it is about.
    pub object: String,
    /// What was found, one sentence fragment.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// The person who asked may override it with `--force`.
    pub forcible: bool,
}

impl Finding {
    /// Good to know.
    pub fn note(
        code: &str,
        object: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Level::Note, code, object, what, remedy, true)
    }

    /// Look at it.
    pub fn warning(
        code: &str,
        object: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Level::Warning, code, object, what, remedy, true)
    }

    /// The run is refused, unless forced.
    pub fn refuse(
        code: &str,
        object: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Level::Refuse, code, object, what, remedy, true)
    }

    /// The run is refused, and `--force` does not help.
    pub fn forbid(
        code: &str,
        object: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::of(Level::Refuse, code, object, what, remedy, false)
    }

    fn of(
        level: Level,
        code: &str,
        object: impl ToString,
        what: impl Into<String>,
        remedy: impl Into<String>,
        forcible: bool,
    ) -> Self {
        Self {
            code: code.to_owned(),
            level,
            object: object.to_string(),
            what: what.into(),
            remedy: remedy.into(),
            forcible,
        }
    }
}
