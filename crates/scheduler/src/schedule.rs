//! What a schedule says, and what it means.

use crate::blackout::Blackout;
use crate::cron::Cron;
use engine::age::Age;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// A schedule as it is written, in the configuration or over the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Definition {
    /// What people call it, where that is more than its name.
    pub title: Option<String>,
    /// What people read.
    pub description: Option<String>,
    /// The operations and groups that run, in this order.
    pub run: Vec<String>,
    /// The fleet: it runs on each of its databases, whatever database the operations say, in the manner of the fleet.
    pub fleet: Option<String>,
    /// When: five fields as in cron, with names, `L` and `#n`, such as `0 4 * * sun#1` for the first Sunday of the month.
    pub cron: Option<String>,
    /// The zone of these times.
    #[schemars(extend("format" = "zone"))]
    pub zone: String,
    /// Instead of times: when all of these schedules have done their work. If one of them fails, this one is passed over.
    pub after: Vec<String>,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// Only show what would be done.
    pub dry_run: bool,
    /// Look first: a dry run goes before each real one, and both are in the log.
    pub dry_run_first: bool,
    /// What becomes of times at which nobody was there to run it.
    pub missed: Missed,
    /// Never later than this.
    pub max_lateness: Option<Age>,
    /// What becomes of a time at which it is still at work from before.
    pub overlap: Overlap,
    /// Spread: it begins up to so much later, always the same for the same time.
    pub jitter: Option<Age>,
    /// What becomes of times that the clock leaps over in spring.
    pub clock_change: ClockChange,
    /// Days on which it does not run: `2026-12-24..2026-12-27`, or `12-24..01-02` for every year.
    pub blackouts: Vec<String>,
    /// What allows operations of severity HIGH and CRITICAL to run unattended. Without it they are only shown.
    pub approval: Option<Approval>,
    /// Other values for options of its operations, such as `batch_size`, `max_seconds` or `max_rows`.
    pub options: Map<String, Json>,
    /// Who is told what came of it. Default: as `[notifications]` says.
    pub notifications: Option<Notifications>,
    /// When its checks find more duplicates than this, that is an alert. Default: as the operations or `[alerts]` say, else 5.
    pub alert_threshold: Option<u64>,
    /// An address of an outside watcher that is called each time that it has done its work: `${NAME}` or `file:/path`. When the calls
    /// stay away, the watcher alerts. Only in the configuration.
    #[serde(skip_serializing)]
    pub heartbeat: Option<String>,
}

/// Who is told what came of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notifications {
    /// When all went well.
    pub on_success: bool,
    /// When it was not done.
    pub on_failure: bool,
    /// When there is something to look at.
    pub on_warnings: bool,
    /// Who gets it, instead of those that the channels name: addresses, or `CHANNEL:ADDRESS`.
    pub recipients: Vec<String>,
    /// The channels, as `[notify.NAME]` calls them. Default: all that are not for escalation only.
    pub channels: Vec<String>,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            on_success: false,
            on_failure: true,
            on_warnings: true,
            recipients: Vec::new(),
            channels: Vec::new(),
        }
    }
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            title: None,
            description: None,
            run: Vec::new(),
            fleet: None,
            cron: None,
            zone: "UTC".to_owned(),
            after: Vec::new(),
            enabled: true,
            dry_run: false,
            dry_run_first: false,
            missed: Missed::default(),
            max_lateness: None,
            overlap: Overlap::default(),
            jitter: None,
            clock_change: ClockChange::default(),
            blackouts: Vec::new(),
            approval: None,
            options: Map::new(),
            notifications: None,
            alert_threshold: None,
            heartbeat: None,
        }
    }
}

/// What becomes of times at which nobody was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are made up for once.
    #[default]
    Once,
    /// They are left out.
    Skip,
    /// Each is made up for.
    All,
}

/// What becomes of a time at which the one before is still at work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is passed over.
    #[default]
    Skip,
    /// It waits for its turn.
    Queue,
    /// It has failed, and whoever is told of failures hears of it.
    Fail,
}

/// What becomes of times that the clock leaps over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockChange {
    /// It runs right after the leap.
    #[default]
    Run,
    /// It does not run on that day.
    Skip,
}

/// What allows a schedule to do what a person would be asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who approved.
    pub by: String,
    /// When, such as `2026-11-28` or a whole moment.
    pub at: String,
    /// The most rows that one run may take; more is a refusal.
    pub max_rows: Option<u64>,
}

/// Something that a definition says wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The key.
    pub key: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub help: String,
}

/// When a schedule is due.
#[derive(Debug, Clone)]
pub enum Timing {
    /// At these times.
    At(Box<Cron>),
    /// When these have done their work.
    After(Vec<String>),
}

/// The longest that anything is put off, in seconds: a year.
const LONGEST: f64 = 366.0 * 86_400.0;

/// A schedule, ready to be looked at.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// What it says.
    pub says: Definition,
    /// When it is due.
    pub timing: Timing,
    /// No later than this.
    pub max_lateness: Option<SignedDuration>,
    /// The most that a beginning is spread.
    pub jitter: Duration,
    /// When it does not run.
    pub blackouts: Vec<Blackout>,
    /// Whether it is one of the configuration; those cannot be changed but there.
    pub configured: bool,
}

impl Schedule {
    /// Reads a definition; all faults at once.
    pub fn read(name: &str, says: &Definition, configured: bool) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut fault = |key: &'static str, what: String, help: &str| {
            faults.push(Fault { key, what, help: help.to_owned() });
        };
        let timing = match (&says.cron, says.after.as_slice()) {
            (Some(line), []) => match Cron::parse(line, &says.zone, says.clock_change == ClockChange::Skip) {
                Ok(cron) => Some(Timing::At(Box::new(cron))),
                Err(wrong) => {
                    let key = if engine::age::zone(&says.zone).is_err() { "zone" } else { "cron" };
                    fault(key, wrong.why, &wrong.help);
                    None
                }
            },
            (None, []) => {
                fault(
                    "cron",
                    "it does not say when it is due".to_owned(),
                    "say `cron = \"0 2 * * *\"` or `after = [\"…\"]`",
                );
                None
            }
            (Some(_), _) => {
                fault(
                    "after",
                    "`cron` and `after` exclude each other".to_owned(),
                    "leave out one of the two",
                );
                None
            }
            (None, after) => Some(Timing::After(after.to_vec())),
        };
        if says.run.is_empty() {
            fault("run", "it runs nothing".to_owned(), "name operations or groups: `run = [\"daily\"]`");
        }
        let mut length = |key: &'static str, age: &Option<Age>| {
            let help = "write it like `10 min` or `6 hours`";
            match age.as_ref().map(Age::about_seconds).transpose() {
                Ok(Some(seconds)) if !(0.0..=LONGEST).contains(&seconds) => {
                    fault(key, "it is less than nothing, or more than a year".to_owned(), help);
                    None
                }
                Ok(seconds) => seconds,
                Err(error) => {
                    fault(key, error.what.clone(), help);
                    None
                }
            }
        };
        let max_lateness = length("max_lateness", &says.max_lateness);
        let jitter = length("jitter", &says.jitter);
        let mut blackouts = Vec::new();
        for text in &says.blackouts {
            match Blackout::parse(text) {
                Ok(blackout) => blackouts.push(blackout),
                Err(why) => fault("blackouts", why, "days are those of the schedule's zone"),
            }
        }
        // Where messages go stands in the configuration only (W-071).
        let recipients = says.notifications.iter().flat_map(|notifications| &notifications.recipients);
        for recipient in
            recipients.filter(|recipient| recipient.contains("://") || recipient.trim().is_empty())
        {
            fault(
                "notifications",
                format!("`{recipient}` is nobody: addresses on the web are those of channels"),
                "write mail addresses here, or `CHANNEL:ADDRESS`; for another web address add a channel `[notify.NAME]`",
            );
        }
        if says.heartbeat.is_some() && !configured {
            fault(
                "heartbeat",
                "addresses on the web stand in the configuration only".to_owned(),
                "add the schedule there, as a table `[schedule.NAME]`",
            );
        }
        if let Some(approval) = &says.approval {
            let moment =
                approval.at.parse::<Timestamp>().is_ok() || approval.at.parse::<jiff::civil::Date>().is_ok();
            if !moment {
                fault("approval", format!("`{}` is no moment", approval.at), "write `at = \"2026-11-28\"`");
            }
            if approval.by.trim().is_empty() {
                fault("approval", "nobody approved it".to_owned(), "say who: `by = \"anna\"`");
            }
        }
        match timing.filter(|_| faults.is_empty()) {
            None => Err(faults),
            Some(timing) => Ok(Self {
                name: name.to_owned(),
                says: says.clone(),
                timing,
                max_lateness: max_lateness.map(SignedDuration::from_secs_f64),
                jitter: Duration::from_secs_f64(jitter.unwrap_or(0.0)),
                blackouts,
                configured,
            }),
        }
    }

    /// Whether it waits for itself, through others: `after_of` tells for what each of them waits.
    pub fn waits_for_itself(name: &str, after: &[String], after_of: impl Fn(&str) -> Vec<String>) -> bool {
        let mut seen: Vec<String> = Vec::new();
        let mut next = after.to_vec();
        while let Some(other) = next.pop() {
            if other == name {
                return true;
            }
            if !seen.contains(&other) {
                next.extend(after_of(&other));
                seen.push(other);
            }
        }
        false
    }

    /// The first time after a moment that it is due; none for one that waits for others, or is switched off.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.times(after).next()
    }

    /// All times after a moment that it is due.
    pub fn times(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        let cron = match &self.timing {
            Timing::At(cron) if self.says.enabled => Some(cron),
            _ => None,
        };
        cron.map(|cron| cron.times(after)).into_iter().flatten()
    }

    /// When a time begins: spread over the jitter, for the same time always by the same.
    pub fn start_of(&self, due: Timestamp) -> Timestamp {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        if most == 0 {
            return due;
        }
        // FNV-1a: any spread will do, but it must be the same in every process and version.
        let text = format!("{} {}", self.name, due.as_microsecond());
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        due + SignedDuration::from_millis(i64::try_from((hash >> 7) % most).unwrap_or(0))
    }

    /// Whether a moment lies on a day on which it does not run.
    pub fn is_blacked_out(&self, at: Timestamp) -> bool {
        let zone = match &self.timing {
            Timing::At(cron) => cron.zone().clone(),
            Timing::After(_) => engine::age::zone(&self.says.zone).unwrap_or(jiff::tz::TimeZone::UTC),
        };
        let day = at.to_zoned(zone).date();
        self.blackouts.iter().any(|blackout| blackout.covers(day))
    }
}
