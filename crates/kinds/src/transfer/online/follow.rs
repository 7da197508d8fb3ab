//! What changed while the rows were copied, round by round, until a round has little to do: then both sides are counted, and a last
//! quick one leaves as little as possible for the moment in which nobody may write.

use super::super::carried;
use super::super::machines::Machines;
use super::super::task::Place;
use super::ask::Source;
use super::cut_over::rows;
use super::entry::Entry;
use super::{LIMIT, counts, round};
use engine::{Batch, Error, Result, Work};
use serde_json::json;
use targets::db::Facts;

/// A round that takes no longer leaves little for the next.
const QUICK: f64 = 0.5;
/// So many rounds are done at most, unless each still takes less time than may be taken in the end.
const MOST: u64 = 30;

/// One round.
pub fn act(
    own: &Entry,
    machines: &Machines,
    place: &Place,
    source: &mut dyn Facts,
    work: &mut Work,
    times: &mut counts::Times,
) -> Result<Batch> {
    let online = &own.online;
    let began = work.clock().tick();
    let spent = |work: &Work| work.clock().tick().duration_since(began).as_secs_f64();
    let from = carried::upto(work)?;
    let mut source = Source::Moment(source);
    let round = round::carry(online, machines, from, &mut source, work)?;
    let seconds = spent(work);
    let calm = seconds <= QUICK || place.rounds + 1 >= MOST;
    if place.rounds + 1 >= MOST && seconds > online.limit {
        return Err(Error::system(format!(
            "after {} rounds the application still writes more than is carried in {} s",
            place.rounds + 1,
            online.limit
        ))
        .code(LIMIT)
        .help("begin again when less is written"));
    }
    let counting = calm && !place.counted;
    if counting {
        let all: Vec<usize> = (0..online.carries.len()).collect();
        counts::compare(online, &all, &mut source, work, times)?;
    }
    carried::follow(round.upto, work)?;
    work.tell(json!({
        "followed": { "changed": round.changed, "written": round.written, "removed": round.removed,
            "aside": round.aside, "seconds": spent(work), "counted": counting },
    }));
    let next = match calm && place.counted {
        true => None,
        false => Some(
            Place { rounds: place.rounds + 1, counted: place.counted || counting, ..Place::default() }
                .cursor()?,
        ),
    };
    Ok(Batch { counts: rows(&round), next })
}
