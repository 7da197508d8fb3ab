//! Which SQL a script is written in. The two differ where statements end and in what a transaction allows.

use targets::db::{Dialect, Server};

/// The language of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's, of this release where it is known: `15`.
    Postgres {
        /// None: the newest.
        major: Option<u32>,
    },
}

impl Language {
    /// What this database speaks, its release not being known.
    pub fn of(dialect: &dyn Dialect) -> Self {
        if dialect.name() == "sqlite" { Self::Sqlite } else { Self::Postgres { major: None } }
    }

    /// What this server speaks.
    pub fn of_server(server: &Server) -> Self {
        if server.engine == "sqlite" {
            Self::Sqlite
        } else {
            Self::Postgres { major: Some(server.version_number / 10_000).filter(|major| *major > 0) }
        }
    }

    pub(crate) fn is_sqlite(self) -> bool {
        self == Self::Sqlite
    }
}
