//! What tests need: throw-away databases of both kinds, looked at and changed as an application would.
//!
//! It goes past the back ends on purpose (see `backends::testing`), so that a test never judges Sexton by what Sexton
//! says. It contains no test.

mod arguments;
mod cluster;
mod dump;
mod in_time;
mod over;
mod place;
mod pooler;
mod server;
mod sink;
// fault points, on which stories rest, compile away in release builds
#[cfg(debug_assertions)]
pub mod story;
mod workshop;

pub use arguments::Arguments;
pub use cluster::PASSWORD;
pub use in_time::{once_in_three, quickly};
pub use over::Over;
pub use place::{Place, both, database_at};
pub use pooler::Pooler;
pub use server::Server;
pub use sink::{Call, Encrypt, HttpSink, Line, Mail, SmtpSink, Speaks};
#[cfg(debug_assertions)]
pub use story::Story;
pub use workshop::Workshop;
