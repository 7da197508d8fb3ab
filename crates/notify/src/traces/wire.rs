//! A request of OTLP (`opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`) as protobuf. Its numbers are fixed for good.

use super::spans::{Moment, Said, Span};
use jiff::Timestamp;

/// Who traces.
const NAME: &str = "sexton";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Kinds of fields.
const VARINT: u64 = 0;
const FIXED: u64 = 1;
const BYTES: u64 = 2;

/// The whole request.
pub fn request(spans: &[Span]) -> Vec<u8> {
    let mut resource = Message::default();
    resource.says("service.name", &Said::Text(NAME.to_owned()), 1);
    resource.says("service.version", &Said::Text(VERSION.to_owned()), 1);
    let mut scope = Message::default();
    scope.text(1, NAME);
    scope.text(2, VERSION);
    let mut of_scope = Message::default();
    of_scope.message(1, scope);
    for one in spans {
        of_scope.message(2, span(one));
    }
    let mut of_resource = Message::default();
    of_resource.message(1, resource);
    of_resource.message(2, of_scope);
    let mut request = Message::default();
    request.message(1, of_resource);
    request.0
}

fn span(span: &Span) -> Message {
    let mut own = Message::default();
    own.bytes(1, &span.trace);
    own.bytes(2, &span.id);
    if let Some(parent) = &span.parent {
        own.bytes(4, parent);
    }
    own.text(5, &span.name);
    // Internal: neither a call nor its answer.
    own.number(6, 1);
    own.moment(7, span.from);
    own.moment(8, span.to);
    for (key, said) in &span.says {
        own.says(key, said, 9);
    }
    for moment in &span.moments {
        own.message(11, event(moment));
    }
    if let Some(outcome) = &span.failed {
        let mut status = Message::default();
        if let Err(why) = outcome {
            status.text(2, why);
        }
        status.number(3, if outcome.is_ok() { 1 } else { 2 });
        own.message(15, status);
    }
    own
}

fn event(moment: &Moment) -> Message {
    let mut own = Message::default();
    own.moment(1, moment.at);
    own.text(2, moment.name);
    own.says("message", &Said::Text(moment.text.clone()), 3);
    own
}

/// A message in the making.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3 | VARINT);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn message(&mut self, field: u64, value: Message) {
        self.bytes(field, &value.0);
    }

    /// Nanoseconds since 1970; what lies before that did not happen.
    fn moment(&mut self, field: u64, at: Timestamp) {
        self.varint(field << 3 | FIXED);
        let nanoseconds = u64::try_from(at.as_nanosecond()).unwrap_or(0);
        self.0.extend_from_slice(&nanoseconds.to_le_bytes());
    }

    /// A name with a value.
    fn says(&mut self, key: &str, said: &Said, field: u64) {
        let mut value = Message::default();
        match said {
            Said::Text(text) => value.text(1, text),
            Said::Flag(flag) => value.number(2, u64::from(*flag)),
            Said::Count(count) => value.number(3, *count),
        }
        let mut pair = Message::default();
        pair.text(1, key);
        pair.message(2, value);
        self.message(field, pair);
    }
}
