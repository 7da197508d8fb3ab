//! The life cycle: one loop that locks, plans, guards, backs up, works in batches, verifies and reports.
//!
//! It can name no back end and no kind: databases come through `targets`, kinds through the catalogue that wiring
//! hands in. Surfaces build a [`Request`], show a [`Plan`], render [`Event`]s and a [`Report`].

pub mod age;
pub mod archive;
pub mod backup;
mod batch;
mod checkpoint;
mod clock;
mod digest;
mod engine;
mod error;
mod event;
mod fault;
mod finding;
mod guard;
mod housekeeping;
mod journal;
mod operation;
mod pace;
mod plan;
mod planning;
mod presence;
mod quarantine;
mod report;
mod request;
mod resume;
mod retry;
mod run;
mod run_log;
mod scopes;
mod scratch;
mod state;
mod status;
mod stop;
mod throttle;
mod told;
pub mod undo;
mod window;
pub mod words;
mod work;

pub use backup::BackupPolicy;
pub use checkpoint::Checkpoint;
pub use clock::{Clock, SetClock, SystemClock};
pub use digest::TableDigest;
pub use engine::{Databases, Engine, Parts, is_refused, new_id};
pub use error::{Class, Error, Failure, Result};
pub use event::{Counts, Event, StopReason, What};
pub use fault::Faults;
pub use finding::{Finding, Level};
pub use journal::Watch;
pub use operation::{Batch, Cursor, Done, Earlier, Kind, Operation, Phase, Planned, Planning, Stores};
pub use plan::{Dependants, Item, Plan, SCHEMA_VERSION, Step, Undo, Unplanned};
pub use planning::Prepared;
pub use quarantine::{Doomed, Gone, QUARANTINE};
pub use report::{Metadata, OperationReport, Report, ReportedBackup, ReportedError, TargetReport};
pub use request::{Manners, OperationRequest, Request, Severity, Trigger};
pub use resume::{Changes, Resumable};
pub use run_log::{Field, RunLog};
pub use scopes::{FailedScope, GivenUp, failed_scopes};
pub use state::{Audit, RunRecord};
pub use status::Status;
pub use stop::Stop;
pub use told::LOG;
pub use window::check as check_window;
pub use work::{Chosen, Rows, Work};
