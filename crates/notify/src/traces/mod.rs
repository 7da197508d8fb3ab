//! Traces for OpenTelemetry: one for each run, made of its log once it is over, and sent beside everything else.
//!
//! It never fails a run and never slows one: a run only hands in what it has written down anyway. What the receiver does not take is
//! told in the program's log and is lost; nobody waits for it. OTLP over HTTP in protobuf is a handful of messages that are fixed
//! for good, so they are written here (`wire`): the libraries of OpenTelemetry would bring two dozen packages and a thread of theirs.

mod spans;
mod wire;

use crate::channel::{Refused, call};
use engine::{Event, Plan, Report};
use secrecy::{ExposeSecret, SecretString};
use spans::Span;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Where an OTLP receiver takes traces, below its address.
const PATH: &str = "/v1/traces";
/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// At the end of the program so long is waited for what is still on its way.
const LAST: Duration = Duration::from_secs(2);
/// No more traces wait for their turn: a receiver that is slow for long loses some.
const WAITING: usize = 64;

/// Sends traces to a receiver.
pub struct Traces {
    url: SecretString,
    headers: Vec<(String, SecretString)>,
    at_work: Mutex<Option<AtWork>>,
}

/// The thread that sends; there is none before the first trace.
struct AtWork {
    send: SyncSender<Vec<Span>>,
    over: Receiver<()>,
}

impl Traces {
    /// To the receiver at this address, such as `http://localhost:4318`, with these headers.
    pub fn to(url: &SecretString, headers: Vec<(String, SecretString)>) -> Self {
        let base = url.expose_secret().trim_end_matches('/');
        let whole = if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") };
        Self { url: SecretString::from(whole), headers, at_work: Mutex::new(None) }
    }

    /// Hands in the trace of a run that is over. Returns at once, whatever the receiver does.
    pub fn ended(&self, plan: &Plan, events: &[Event], report: &Report) {
        let spans = spans::of_run(plan, events, report);
        let mut at_work = self.at_work();
        let sender = at_work.get_or_insert_with(|| self.begin());
        if let Err(TrySendError::Full(_)) = sender.send.try_send(spans) {
            tracing::warn!(run = %report.run_id, "a trace is lost: those before it are still on their way");
        }
    }

    fn at_work(&self) -> MutexGuard<'_, Option<AtWork>> {
        self.at_work.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn begin(&self) -> AtWork {
        let (send, spans) = sync_channel::<Vec<Span>>(WAITING);
        let (tell, over) = channel();
        let (url, headers) = (self.url.clone(), self.headers.clone());
        std::thread::spawn(move || {
            let mut trouble = false;
            for spans in spans {
                match post(&url, &headers, wire::request(&spans)) {
                    Ok(()) => trouble = false,
                    // Once, not for every run.
                    Err(refused) if !trouble => {
                        tracing::warn!("traces are not taken: {}", refused.why);
                        trouble = true;
                    }
                    Err(_) => {}
                }
            }
            drop(tell);
        });
        AtWork { send, over }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(AtWork { send, over }) = self.at_work().take() {
            drop(send);
            // It ends when all is sent, and nobody waits for longer.
            let _ = over.recv_timeout(LAST);
        }
    }
}

fn post(url: &SecretString, headers: &[(String, SecretString)], body: Vec<u8>) -> Result<(), Refused> {
    call("POST", url, PATIENCE, |request| {
        let request = request.header("content-type", "application/x-protobuf").body(body);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value.expose_secret()))
    })
}
