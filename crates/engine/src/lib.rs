//! The life cycle: one loop that locks, plans, guards, backs up, works in batches, verifies and reports.
//!
//! It can name no back end and no kind: databases come through `targets`, kinds through the catalogue that wiring
//! hands in. Surfaces build a [`Request`], show a [`Plan`], render [`Event`]s and a [`Report`].

pub mod age;
pub mod archive;
mod backfill;
pub mod backup;
mod batch;
mod brought;
mod by_operation;
mod checkpoint;
mod clock;
mod clock_guard;
mod differences;
mod digest;
mod engine;
mod error;
mod error_rate;
mod estimate;
mod event;
mod examples;
mod fault;
mod finding;
mod guard;
mod halving;
mod held;
mod housekeeping;
mod journal;
mod kept;
mod lanes;
mod left_behind;
mod looking;
mod operation;
mod pace;
mod plan;
mod planning;
mod presence;
mod quarantine;
mod reading;
mod report;
mod request;
mod resume;
mod retry;
mod run;
mod run_log;
mod scopes;
mod scratch;
mod sequel;
mod state;
mod statement;
mod status;
mod stop;
mod throttle;
mod told;
pub mod undo;
mod undo_request;
mod usage;
mod window;
pub mod words;
mod work;
mod written;

pub use backup::BackupPolicy;
pub use by_operation::{ABOUT, FIGURES, by_operation};
pub use checkpoint::Checkpoint;
pub use clock::{Clock, SetClock, SystemClock};
pub use differences::{Shape, between as differences};
pub use digest::{RowSum, TableDigest, of as digest_of};
pub use engine::{Databases, Engine, Heard, Parts, is_refused, new_id};
pub use error::{Class, Error, Failure, Result};
pub use error_rate::ErrorRate;
pub use event::{Counts, Event, StopReason, What};
pub use examples::Examples;
pub use fault::Faults;
pub use finding::{Finding, Level};
pub use halving::{Parted, with_care};
pub use journal::{LOG_FILE, Watch};
pub use left_behind::quarantined_points;
pub use looking::{Looking, SeeLooks};
pub use operation::{
    Batch, Cursor, Done, Earlier, Kind, Operation, Phase, Planned, Planning, Seed, Stores, Tell,
};
pub use plan::{Dependants, Item, Plan, SCHEMA_VERSION, Step, Undo, Unplanned};
pub use planning::Prepared;
pub use quarantine::{Doomed, Gone, LEFT_BEHIND, QUARANTINE};
pub use report::{BUSY, Metadata, OperationReport, Report, ReportedBackup, ReportedError, TargetReport};
pub use request::{Manners, OperationRequest, Request, Severity, Trigger};
pub use resume::{Changes, Resumable};
pub use run_log::{Field, RunLog};
pub use scopes::{FailedScope, GivenUp, failed_scopes};
pub use state::{
    Alarm, Audit, Bell, Due, Entry, Looked, NewNote, NewTick, Note, NoteState, Outbox, PageSession, Part,
    Role, RunRecord, Sessions, Share, ShownPlan, ShownPlans, Stamp, Tick, TickState, Timetable, Token,
    Tokens, Worker,
};
pub use status::Status;
pub use stop::Stop;
pub use told::LOG;
pub use usage::{Extent, Usage};
pub use window::{Window, check as check_window};
pub use work::{Chosen, Did, Rows, Shifted, Work};
pub use written::{Wish, Wrote};
