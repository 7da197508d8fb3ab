//! SIGINT and SIGTERM: the first asks the run to stop at its next batch, the second ends the process at once.
//!
//! Ending at once is safe: the open transaction is rolled back, and what is committed has its undo rows and checkpoint.

use engine::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::io::Write;

/// Listens for as long as it lives.
pub struct Listening {
    handle: Handle,
}

/// Lets signals ask for this stop.
pub fn listen(stop: &Stop) -> Option<Listening> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).ok()?;
    let handle = signals.handle();
    let stop = stop.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if stop.asked() {
                tell(
                    "ended at once: the open batch is rolled back\nhelp: `sexton resume latest` goes on from the last batch",
                );
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            stop.ask();
            tell("stopping after this batch; once more ends at once");
        }
    });
    Some(Listening { handle })
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.handle.close();
    }
}
