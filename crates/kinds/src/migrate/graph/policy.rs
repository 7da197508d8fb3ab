//! What to do about each thing that can be wrong with the order of migrations.

use crate::migrate::directory::Convention;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stance {
    /// Nothing runs.
    Refuse,
    /// It runs, and is told.
    Warn,
    /// It runs.
    Allow,
}

/// One stance for each thing. Cycles, unknown dependencies, conflicts and double ids are always refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Numbers that are left out.
    pub gaps: Stance,
    /// Two of one number.
    pub duplicates: Stance,
    /// Several ends that nothing joins.
    pub heads: Stance,
    /// Pending ones that should have come before some that are in.
    pub out_of_order: Stance,
    /// Those that are in, their files being gone.
    pub missing: Stance,
    /// Those that are in, their files being others.
    pub changed: Stance,
    /// Those that stopped in the middle.
    pub interrupted: Stance,
    /// Those without a statement.
    pub empty: Stance,
}

impl Default for Policy {
    /// Everything is refused.
    fn default() -> Self {
        let no = Stance::Refuse;
        Self {
            gaps: no,
            duplicates: no,
            heads: no,
            out_of_order: no,
            missing: no,
            changed: no,
            interrupted: no,
            empty: no,
        }
    }
}

impl Policy {
    /// Nothing is refused but what can never be.
    pub(super) fn lenient() -> Self {
        let yes = Stance::Allow;
        Self {
            gaps: yes,
            duplicates: yes,
            heads: yes,
            out_of_order: yes,
            missing: yes,
            changed: yes,
            interrupted: yes,
            empty: yes,
        }
    }

    /// As strict as the tool is for which the files were written, in what its users live with every day: numbers that
    /// are times of day have gaps, and branches bring them out of order.
    pub fn of(convention: Convention) -> Self {
        let strict = Self::default();
        match convention {
            Convention::Native => strict,
            Convention::Structure => Self { gaps: Stance::Allow, missing: Stance::Allow, ..strict },
            Convention::Goose | Convention::GolangMigrate | Convention::Flyway | Convention::Refinery => {
                Self { gaps: Stance::Allow, ..strict }
            }
            Convention::Dbmate | Convention::Sqlx | Convention::Diesel => {
                Self { gaps: Stance::Allow, out_of_order: Stance::Warn, ..strict }
            }
        }
    }
}
