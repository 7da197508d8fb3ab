//! Whose rules the files of a directory are written by.

use crate::migrate::problem::{Fault, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tool, as far as its files are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Convention {
    /// `0001_name.sql` with `-- sexton:up` and `-- sexton:down`.
    Native,
    /// `20240131120000_name.sql` with `-- migrate:up` and `-- migrate:down`.
    Dbmate,
    /// `000001_name.up.sql` and `000001_name.down.sql`.
    GolangMigrate,
    /// `00001_name.sql` with `-- +goose Up` and `-- +goose Down`.
    Goose,
    /// `V1.2__name.sql`, `U1.2__name.sql`, `R__name.sql`.
    Flyway,
    /// `20240131120000_name.sql`, or the same with `.up.sql` and `.down.sql`.
    Sqlx,
    /// `2024-01-31-120000_name/up.sql` and `down.sql`.
    Diesel,
    /// `V1__name.sql` and `U1__name.sql`.
    Refinery,
    /// One `structure.sql`, as Rails dumps it.
    Structure,
}

impl Convention {
    /// All of them.
    pub const ALL: [Convention; 9] = [
        Self::Native,
        Self::Dbmate,
        Self::GolangMigrate,
        Self::Goose,
        Self::Flyway,
        Self::Sqlx,
        Self::Diesel,
        Self::Refinery,
        Self::Structure,
    ];

    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Dbmate => "dbmate",
            Self::GolangMigrate => "golang-migrate",
            Self::Goose => "goose",
            Self::Flyway => "flyway",
            Self::Sqlx => "sqlx",
            Self::Diesel => "diesel",
            Self::Refinery => "refinery",
            Self::Structure => "structure",
        }
    }

    /// The convention of this name.
    pub fn named(name: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|convention| convention.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            Problem::new(
                Fault::Convention,
                format!("there is no convention `{name}`"),
                format!("the conventions are {}", names.join(", ")),
            )
        })
    }

    /// What its author writes to run a file without a transaction around it.
    pub(super) fn off(self) -> &'static str {
        match self {
            Self::Native => "-- sexton:transaction off",
            Self::Dbmate => "-- migrate:up transaction:false",
            Self::Goose => "-- +goose NO TRANSACTION",
            Self::Flyway => "executeInTransaction=false in its .conf",
            Self::Sqlx => "-- no-transaction",
            Self::Diesel => "run_in_transaction = false in its metadata.toml",
            Self::GolangMigrate | Self::Refinery | Self::Structure => "",
        }
    }
}

impl std::fmt::Display for Convention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
