//! The databases of fleets are looked at as any other: at some of them each time, in turn, because there may be thousands. Whether each
//! can be reached is asked every time.
//!
//! One look at a fleet has an end, however its databases answer. What is not known then is not judged: it is neither an alarm nor the
//! end of one. What is wrong with many in the same way, their disk or that they cannot be reached, is one alarm.

use super::Lookout;
use crate::choice::{self, Names};
use crate::config::{FleetSetting, OperationSetting};
use crate::fleet::{self, Member};
use crate::looks;
use crate::trouble::{Trouble, chain};
use crate::wiring;
use engine::{Engine, Failure};
use jiff::{SignedDuration, Timestamp};
use notify::settings::length;
use notify::{Alert, Level, Watched};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use targets::db::Url;

/// So many databases of a fleet are looked at each time, those first that were not for the longest.
const EACH_TIME: usize = 50;
/// Nobody is looked at, or asked, any more after so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many databases of a fleet are told by name.
const NAMED: usize = 10;
/// When a database was last looked at is forgotten when it is no longer one of the fleet for so long.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What was seen of one database.
struct Seen {
    figures: Json,
    queues: Vec<(String, Json)>,
}

impl Lookout<'_> {
    /// What is wrong with the databases of all fleets.
    pub(super) fn fleets(&self) -> Result<Vec<Watched>, Trouble> {
        let mut all = Vec::new();
        for fleet in &self.config.fleets {
            match wiring::members(self.config, fleet) {
                Ok(members) => all.extend(self.fleet(fleet, &members)?),
                Err(error) => {
                    all.push(notify::unreachable(&called(fleet), Some(&chain(&error).join(": "))));
                }
            }
        }
        Ok(all)
    }

    fn fleet(&self, fleet: &FleetSetting, members: &[Member]) -> Result<Vec<Watched>, Trouble> {
        let scheduled = self.scheduled(fleet)?;
        let queues: Vec<&OperationSetting> =
            scheduled.iter().copied().filter(|one| one.kind.name() == "queue").collect();
        let clock = self.engine.clock();
        let (now, until) = (clock.now(), clock.tick() + PATIENCE);
        let begins = format!("looked/{}/", fleet.name);
        let outbox = self.engine.outbox()?;
        let names: Vec<&str> = members.iter().map(Member::name).collect();
        let before = outbox.all_marked(&begins).map_err(Failure::from)?;
        let turn = turn(&names, &before, EACH_TIME);
        let (first, others): (Vec<_>, Vec<_>) = (0..members.len()).partition(|n| turn.contains(n));
        let of = |all: &[usize]| all.iter().map(|n| members[*n].clone()).collect::<Vec<Member>>();
        let (first, others) = (of(&first), of(&others));
        let in_time = || clock.tick() < until;
        let looked =
            fleet::each(&first, fleet.at_once, |member| in_time().then(|| self.look_at(member, &queues)));
        let asked = fleet::each(&others, fleet.at_once, |member| {
            let engine = wiring::engine(self.config, Some(&member.setting));
            let ask = || engine.look(member.name(), |facts| facts.server()).map(drop);
            in_time().then(|| ask().map_err(|failure| chain(&failure).join(": ")))
        });
        let seen: Vec<String> = first
            .iter()
            .zip(&looked)
            .filter(|(_, looked)| looked.is_some())
            .map(|(member, _)| member.name().to_owned())
            .collect();
        let old = now.checked_sub(FORGOTTEN).unwrap_or(now);
        outbox.mark_all(&begins, &seen, now, old).map_err(Failure::from)?;

        let failed = |one: &Option<Result<(), String>>| match one {
            Some(Err(why)) => Some(why.clone()),
            _ => None,
        };
        let known = asked.iter().all(Option::is_some) && looked.iter().all(Option::is_some);
        let reached =
            looked.iter().map(|one| one.as_ref().map(|one| one.as_ref().map(drop).map_err(Clone::clone)));
        let reached: Vec<_> = reached.chain(asked).collect();
        let lost: Vec<String> = first
            .iter()
            .chain(&others)
            .zip(&reached)
            .filter_map(|(member, one)| failed(one).map(|why| format!("{}: {why}", member.name())))
            .collect();
        let mut all = Vec::new();
        if known || !lost.is_empty() {
            let why = format!("{} of {} databases\n{}", lost.len(), members.len(), some_of(&lost));
            all.push(notify::unreachable(&called(fleet), (!lost.is_empty()).then_some(why.as_str())));
        }
        let looked = looked.into_iter().map(|one| one.and_then(Result::ok));
        let looked: Vec<(&Member, Seen)> =
            first.iter().zip(looked).filter_map(|(member, one)| Some((member, one?))).collect();
        all.extend(self.judged(fleet, &looked));
        all.extend(self.left(fleet, &names)?);
        if scheduled.iter().any(|one| one.kind.name() == "backup") {
            all.extend(self.backups_of(fleet, &names, now));
        }
        Ok(all)
    }

    /// The operations that schedules run on the databases of a fleet.
    fn scheduled(&self, fleet: &FleetSetting) -> Result<Vec<&OperationSetting>, Trouble> {
        let mut all: Vec<&OperationSetting> = Vec::new();
        for known in scheduler::all(self.engine, &self.config.schedules)? {
            let says = &known.schedule.says;
            if says.fleet.as_ref() != Some(&fleet.name) {
                continue;
            }
            // What it runs may be gone from the configuration: its next run says so.
            for chosen in choice::operations(&Names::listed(&says.run), self.config).unwrap_or_default() {
                if !all.iter().any(|one| one.name == chosen.operation.name) {
                    all.push(chosen.operation);
                }
            }
        }
        Ok(all)
    }

    fn look_at(&self, member: &Member, queues: &[&OperationSetting]) -> Result<Seen, String> {
        let engine = wiring::engine(self.config, Some(&member.setting));
        let found = looks::doctor(&engine, self.config, member.name());
        let found = found.map_err(|trouble| trouble.causes.join(": "))?;
        // A queue whose statistics cannot be had is told by the run of its operation.
        let stats = |engine: &Engine, queue: &OperationSetting| {
            let result = self.statistics(engine, queue, Some(member.name())).ok()?;
            Some((queue.name.clone(), result))
        };
        let queues = queues.iter().filter_map(|queue| stats(&engine, queue)).collect();
        Ok(Seen { figures: found["figures"].clone(), queues })
    }

    /// What the figures mean. Databases beside each other have one disk: the fullest of what they tell of it counts.
    fn judged(&self, fleet: &FleetSetting, looked: &[(&Member, Seen)]) -> Vec<Watched> {
        let mut all = Vec::new();
        let mut disks: BTreeMap<String, (f64, Json)> = BTreeMap::new();
        for (member, seen) in looked {
            let name = format!("{}/{}", fleet.name, member.name());
            let mut own = seen.figures.clone();
            let used = own["disk_used_percent"].as_f64();
            if let Some(figures) = own.as_object_mut() {
                figures.retain(|name, _| !name.starts_with("disk_"));
            }
            all.extend(notify::databases_figures(&name, &own, self.alerts()));
            for (queue, result) in &seen.queues {
                all.extend(notify::queue(&format!("{queue} on {name}"), result, self.alerts()));
            }
            let place = place(&member.setting.url);
            if let Some(used) = used
                && disks.get(&place).is_none_or(|(most, _)| used > *most)
            {
                let free = &seen.figures["disk_free_bytes"];
                disks.insert(place, (used, json!({ "disk_used_percent": used, "disk_free_bytes": free })));
            }
        }
        for (place, (_, figures)) in disks {
            let name = format!("{} at {place}", called(fleet));
            all.extend(notify::databases_figures(&name, &figures, self.alerts()));
        }
        all
    }

    /// Nothing is wrong any more with what is not one of the fleet any more.
    fn left(&self, fleet: &FleetSetting, names: &[&str]) -> Result<Vec<Watched>, Trouble> {
        let names: BTreeSet<&str> = names.iter().copied().collect();
        let (index, queue) = (format!("index/{}/", fleet.name), format!(" on {}/", fleet.name));
        let alarms = self.engine.outbox()?.alarms().map_err(Failure::from)?;
        let gone = |id: &str| {
            let member = id.strip_prefix(&index).or_else(|| id.split_once(&queue).map(|(_, member)| member));
            member.is_some_and(|member| !names.contains(member))
        };
        Ok(alarms.iter().filter(|alarm| gone(&alarm.id)).map(|alarm| Watched::new(&alarm.id, None)).collect())
    }

    /// The newest backup of each database of a fleet that a schedule backs up: those that have none, or an old one, are one alarm.
    fn backups_of(&self, fleet: &FleetSetting, names: &[&str], now: Timestamp) -> Option<Watched> {
        self.config.backups.as_ref()?;
        // A store that does not answer is told with those of other databases.
        let (known, _) = self.engine.backups(None).ok()?;
        let mut newest: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for backup in &known {
            let at = newest.entry(&backup.database).or_insert(backup.taken_at);
            *at = (*at).max(backup.taken_at);
        }
        let most = length(&self.alerts().backup_age);
        let old: Vec<String> = names
            .iter()
            .filter_map(|name| notify::backup(name, newest.get(name).copied(), now, most).alert)
            .map(|alert| alert.title)
            .collect();
        let name = called(fleet);
        let alert = (!old.is_empty()).then(|| {
            let title = format!("{} of {} databases of {name} have no new backup", old.len(), names.len());
            Alert::new(Level::Critical, title, some_of(&old))
        });
        let over = format!("there are new backups of all databases of {name}");
        Some(Watched::new(format!("backup/{name}"), alert).told_over(over))
    }
}

fn called(fleet: &FleetSetting) -> String {
    format!("the fleet {}", fleet.name)
}

/// Where the disk of a database is: its server, or its folder.
fn place(url: &Url) -> String {
    match url {
        Url::Sqlite { path } => path.parent().unwrap_or(path).display().to_string(),
        Url::Postgres { .. } => url.server(),
    }
}

fn some_of(lines: &[String]) -> String {
    let mut shown: Vec<String> = lines.iter().take(NAMED).cloned().collect();
    if lines.len() > NAMED {
        shown.push(format!("and {} more", lines.len() - NAMED));
    }
    shown.join("\n")
}

/// Whose turn it is: those who had theirs the longest ago, and who never had one before them.
fn turn(names: &[&str], before: &BTreeMap<String, Timestamp>, most: usize) -> BTreeSet<usize> {
    let mut all: Vec<usize> = (0..names.len()).collect();
    all.sort_by_key(|n| before.get(names[*n]));
    all.into_iter().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_longer_than_it_takes_to_go_around() {
        let names: Vec<String> = (0..7).map(|n| format!("t{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut before = BTreeMap::new();
        let mut last = [-1_i64; 7];
        for round in 0..50 {
            let at = Timestamp::from_second(round).unwrap();
            let now = turn(&names, &before, 3);
            assert_eq!(now.len(), 3);
            for n in now {
                // three looks, and one more where several of the same look are behind each other
                assert!(round - last[n] <= 4, "{n} in {round}: {last:?}");
                last[n] = round;
                before.insert(names[n].to_owned(), at);
            }
        }
        assert!(last.iter().all(|round| 49 - round < 4), "{last:?}");
        // A new one comes first.
        before.remove("t5");
        assert!(turn(&names, &before, 1).contains(&5));
        assert_eq!(turn(&names[..2], &before, 50).len(), 2);
    }
}
