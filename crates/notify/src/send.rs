//! Sending what is due: one try for each, put off by growing waits, given up after a day. What waited on purpose, and what comes
//! in a crowd, goes as one message.

use crate::channel::{Letter, Refused};
use crate::digest::joined;
use crate::message::Message;
use crate::post::Post;
use crate::settings::Channel;
use engine::{Failure, Note};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A process that is silent for so long while it sends is gone.
const LEASE: Duration = Duration::from_secs(300);
/// So many notes are taken at once.
const MOST: u64 = 50;
/// More than so many at once are one message.
const CROWD: usize = 5;
/// A note that could not be sent so often is given up; by then a day has gone by.
const TRIES: u64 = 12;
/// The first wait, which doubles with each try, and the longest.
const FIRST: i64 = 30;
const LONGEST: i64 = 4 * 3_600;
/// Nobody is left alone for longer than this, whatever they ask for.
const ASKED: SignedDuration = SignedDuration::from_hours(24);

/// What came of sending.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delivered {
    /// Notes that were taken.
    pub sent: u64,
    /// Notes that are tried again, by channel, with the reason.
    pub put_off: Vec<(String, u64, String)>,
    /// Notes that were given up, by channel, with the reason.
    pub given_up: Vec<(String, u64, String)>,
}

/// How long to wait after so many tries; spread by the note, so that a receiver that comes back is not run over.
pub fn backoff(tries: u64, id: &str) -> SignedDuration {
    let doubled = FIRST.saturating_mul(1_i64 << tries.saturating_sub(1).min(20));
    let seconds = doubled.min(LONGEST);
    let spread = i64::from(Sha256::digest(id.as_bytes())[0]) * seconds / 2_560;
    SignedDuration::from_secs(seconds + spread)
}

impl Post<'_> {
    /// Sends what is due. With `limit` it begins nothing new after that time.
    pub fn deliver(&self, limit: Option<Duration>) -> Result<Delivered, Failure> {
        let mut delivered = Delivered::default();
        let began = self.engine.clock().tick();
        for channel in &self.settings.channels {
            loop {
                let left =
                    limit.map(|limit| limit.saturating_sub(self.engine.clock().tick().duration_since(began)));
                if left.is_some_and(|left| left.is_zero()) {
                    return Ok(delivered);
                }
                let patience = left.map_or(channel.patience, |left| left.min(channel.patience));
                if !self.deliver_some(channel, patience, &mut delivered)? {
                    break;
                }
            }
        }
        Ok(delivered)
    }

    /// Whether there may be more for this channel.
    fn deliver_some(
        &self,
        channel: &Channel,
        patience: Duration,
        delivered: &mut Delivered,
    ) -> Result<bool, Failure> {
        let now = self.engine.clock().now();
        let outbox = self.engine.outbox()?;
        let quiet = channel.quiet.as_ref().is_some_and(|quiet| quiet.is_open(now));
        let lease = LEASE.max(patience.saturating_mul(4));
        let notes = outbox.claim(&channel.name, quiet, lease, MOST, now)?;
        let began = self.engine.clock().tick();
        if notes.is_empty() {
            return Ok(false);
        }
        let whole = notes.len() as u64 == MOST;
        let mut away: Option<Refused> = None;
        for together in grouped(notes) {
            let ids: Vec<&str> = together.iter().map(|note| note.id.as_str()).collect();
            // What would still be on its way when another process takes it is left to that one.
            let at_work = self.engine.clock().tick().duration_since(began);
            if away.is_none() && at_work + 2 * patience > lease {
                return Ok(false);
            }
            // A receiver that was not there a moment ago is not asked again for each.
            let outcome = match &away {
                Some(refused) => Err(refused.clone()),
                None => send(channel, &together, now, patience),
            };
            let many = ids.len() as u64;
            match outcome {
                Ok(()) => {
                    outbox.sent(&ids, self.engine.clock().now())?;
                    delivered.sent += many;
                }
                Err(refused) => {
                    let tries = together.iter().map(|note| note.tries).max().unwrap_or(1);
                    if tries >= TRIES {
                        outbox.give_up(&ids, &refused.why, now)?;
                        delivered.given_up.push((channel.name.clone(), many, refused.why.clone()));
                    } else {
                        let asked =
                            refused.later.map(|later| SignedDuration::try_from(later).unwrap_or(ASKED));
                        let wait = backoff(tries, ids[0]).max(asked.unwrap_or_default().min(ASKED));
                        outbox.put_off(&ids, now.saturating_add(wait).unwrap_or(now), &refused.why)?;
                        delivered.put_off.push((channel.name.clone(), many, refused.why.clone()));
                    }
                    away = Some(refused);
                }
            }
        }
        Ok(whole && away.is_none())
    }
}

/// What goes together: what waited on purpose, and a crowd, by who gets it.
fn grouped(notes: Vec<Note>) -> Vec<Vec<Note>> {
    let crowd = notes.iter().filter(|note| !note.urgent).count() > CROWD;
    let mut groups: Vec<Vec<Note>> = Vec::new();
    for note in notes {
        let joins = |note: &Note| !note.urgent && (note.held || crowd);
        let other = groups
            .iter_mut()
            .find(|group| joins(&note) && joins(&group[0]) && group[0].recipients == note.recipients);
        match other {
            Some(group) => group.push(note),
            None => groups.push(vec![note]),
        }
    }
    groups
}

fn send(channel: &Channel, notes: &[Note], now: Timestamp, patience: Duration) -> Result<(), Refused> {
    let mut messages: Vec<Message> = Vec::new();
    for note in notes {
        let message = serde_json::from_value(note.body.clone());
        messages.push(message.map_err(|error| Refused::because(format!("it cannot be read: {error}")))?);
    }
    let message = match messages.as_slice() {
        [only] => only.clone(),
        several => joined(several, now).ok_or_else(|| Refused::because("there is nothing to say"))?,
    };
    carry(channel, &notes[0].id, &message, &notes[0].recipients, patience)
}

/// Hands one message to a channel.
pub(crate) fn carry(
    channel: &Channel,
    id: &str,
    message: &Message,
    recipients: &[String],
    patience: Duration,
) -> Result<(), Refused> {
    let (title, text) = channel.template.render(message);
    channel.carrier.carry(&Letter { id, message, title, text, recipients }, patience)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_four_hours_and_are_spread() {
        // W-070
        let seconds = |tries| backoff(tries, "7f3k9q2m").as_secs();
        for (tries, base) in [(1, 30), (2, 60), (3, 120), (9, 7_680), (10, 14_400), (60, 14_400)] {
            let wait = seconds(tries);
            assert!(wait >= base && wait <= base + base / 10, "{tries}: {wait}");
        }
        assert_ne!(backoff(9, "a"), backoff(9, "b"));
        assert_eq!(seconds(3), seconds(3));
    }
}
