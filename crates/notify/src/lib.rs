//! Telling people: messages about runs, alerts about what is wrong, and the outbox that sends them.
//!
//! Nothing here knows a kind, a back end, the configuration file or a surface: it gets reports and figures from whoever has them.
//! A message is written down in the state when something happens, and sent when it can be; whatever goes wrong on the way never
//! fails a run. Time comes from the engine's clock only.

mod alert;
pub mod channel;
mod digest;
mod heartbeat;
mod late;
mod message;
mod post;
mod run;
mod send;
pub mod settings;
mod template;
mod traces;
mod words;

pub use alert::{Alert, Watched, backup, databases_figures, error_rate_of_week, queue, shown, unreachable};
pub use heartbeat::{beat, beat_surely};
pub use late::{SERVED, late, standstill};
pub use message::{Event, Level, Message};
pub use post::{Ended, Post};
pub use run::{at_work, event_of, of_operation, of_run};
pub use send::{Delivered, backoff};
pub use settings::Settings;
pub use template::Template;
pub use traces::Traces;
