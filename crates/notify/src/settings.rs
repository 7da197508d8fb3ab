//! What was configured, ready to be used: channels, what is told where, and from when on something is an alert.

use crate::channel::Carrier;
use crate::message::Level;
use crate::template::Template;
use engine::Window;
use engine::age::Age;
use jiff::SignedDuration;
use scheduler::Notifications;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A channel, as it is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelSection {
    /// `email`, `slack`, `telegram`, `webhook` or `exec`. Not needed where the channel is called like that.
    #[serde(rename = "type")]
    pub sort: Option<Sort>,
    /// Only messages of this level and above: `info`, `warning` or `critical`.
    pub level: Level,
    /// Hours in which only what is critical is sent, such as `22:00-07:00`; the rest comes together when they are over.
    #[schemars(extend("format" = "window"))]
    pub quiet: Option<String>,
    /// The zone of these hours. Default: `UTC`.
    #[schemars(extend("format" = "zone"))]
    pub quiet_zone: Option<String>,
    /// Collect what is not critical, and send it together this often, such as `1 day`.
    pub digest: Option<Age>,
    /// The title of each message, as a template: `{{ title }}`, `{{ event }}`, `{{ level }}`, `{{ schedule }}`, `{{ metrics.rows_deleted }}` …
    pub title: Option<String>,
    /// The text of each message, as a template. The body of a webhook is always the whole message as JSON.
    pub text: Option<String>,
    /// How long the other side may take. Default: 10 seconds.
    pub timeout: Option<Age>,
    /// email: the mail server.
    pub server: Option<String>,
    /// email: its port. Default: 587, with `tls = "on"` 465, without encryption 25.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// email: `starttls` (begins in the clear and must be encrypted before anything is said), `on` (encrypted from the beginning) or
    /// `off` (for a server on this machine). Default: `starttls`.
    pub tls: Option<Tls>,
    /// email: a file with the certificate of an authority of one's own, relative to this file.
    #[schemars(extend("format" = "path"))]
    pub authority: Option<String>,
    /// email: whom to log in as.
    pub user: Option<String>,
    /// email: the password: `${NAME}` or `file:/path`.
    pub password: Option<String>,
    /// email: the sender.
    pub from: Option<String>,
    /// email: who gets it, unless a schedule names others.
    pub to: Vec<String>,
    /// slack, webhook: where it is sent: `${NAME}` or `file:/path`, for it usually is a secret.
    pub url: Option<String>,
    /// webhook: each body is signed with it (HMAC-SHA256): `${NAME}` or `file:/path`.
    pub secret: Option<String>,
    /// telegram: the token of the bot: `${NAME}` or `file:/path`.
    pub token: Option<String>,
    /// telegram: the chat.
    pub chat: Option<String>,
    /// telegram: another server than Telegram's.
    pub api: Option<String>,
    /// exec: a program and its arguments, without a shell. It gets the message as JSON on stdin.
    pub command: Vec<String>,
}

/// How a channel sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// By mail.
    Email,
    /// To an incoming webhook of Slack, or of what takes the same (Mattermost, Rocket.Chat).
    Slack,
    /// By a bot of Telegram.
    Telegram,
    /// To any address, as JSON.
    Webhook,
    /// By a program.
    Exec,
}

impl Sort {
    /// All of them.
    pub const ALL: [Sort; 5] = [Sort::Email, Sort::Slack, Sort::Telegram, Sort::Webhook, Sort::Exec];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Sort::Email => "email",
            Sort::Slack => "slack",
            Sort::Telegram => "telegram",
            Sort::Webhook => "webhook",
            Sort::Exec => "exec",
        }
    }

    /// The keys that only some have, with those that cannot be left out.
    pub fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Sort::Email => (
                &["server", "port", "tls", "authority", "user", "password", "from", "to"],
                &["server", "from"],
            ),
            Sort::Slack => (&["url"], &["url"]),
            Sort::Telegram => (&["token", "chat", "api"], &["token", "chat"]),
            Sort::Webhook => (&["url", "secret"], &["url"]),
            Sort::Exec => (&["command"], &["command"]),
        }
    }
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// In the clear at first; nothing is said before it is encrypted.
    #[default]
    Starttls,
    /// Encrypted from the beginning.
    On,
    /// In the clear.
    Off,
}

/// What is told of runs that no schedule says anything about.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationsSection {
    /// When all went well.
    pub on_success: Option<bool>,
    /// When it was not done. Default: true.
    pub on_failure: Option<bool>,
    /// When there is something to look at. Default: true.
    pub on_warnings: Option<bool>,
    /// Who gets it, instead of those that the channels name: addresses, or `CHANNEL:ADDRESS`.
    pub recipients: Vec<String>,
    /// The channels. Default: all that are not for escalation only.
    pub channels: Vec<String>,
    /// Also tell of runs that somebody starts at the command line (`sexton run`).
    pub by_hand: bool,
    /// The same warning or failure is not said again within this time.
    pub repeat_after: Option<Age>,
}

/// From when on something is an alert.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsSection {
    /// The channels. Default: all that are not for escalation only.
    pub channels: Vec<String>,
    /// Channels that get what is critical, besides.
    pub escalate_to: Vec<String>,
    /// So many failures of an operation in a row are critical.
    #[schemars(range(min = 1))]
    pub escalate_after: u64,
    /// When an operation of a run failed.
    pub failures: bool,
    /// When an operation took so many times as long as usual. Where it has `expected`, any longer than that is an alert.
    #[schemars(range(min = 1.0))]
    pub times_expected: f64,
    /// When more than this share of rows in a run, or of runs in a week, failed (of at least 20).
    #[schemars(range(min = 0.0, max = 100.0))]
    pub error_rate_percent: f64,
    /// When a check finds more duplicates than this; more than twice as many are critical. Schedules and operations may say otherwise.
    pub duplicates: u64,
    /// When a look finds more orphans (rows or files) than this. Unset: no alert.
    pub orphans: Option<u64>,
    /// When more of a database's disk is used than this.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub disk_percent: f64,
    /// When less of all reads of large tables went through an index than this (PostgreSQL).
    #[schemars(range(min = 0.0, max = 100.0))]
    pub index_efficiency_percent: f64,
    /// When more jobs of a queue wait than this. Unset: no alert.
    pub queue_backlog: Option<u64>,
    /// When more jobs of a queue are stuck than this.
    pub queue_stuck: u64,
    /// When the newest backup of a database that has some is older than this.
    pub backup_age: Age,
    /// When a schedule did not run, or nobody served, for this long after its time.
    pub late: Age,
    /// Tell errors of a transfer at once.
    pub transfer_errors: bool,
    /// How often `sexton serve` looks at databases, queues and backups.
    pub every: Age,
    /// What is still wrong is told again after so long.
    pub remind_after: Age,
    /// An address of an outside watcher that `sexton serve` calls while all schedules are looked after: `${NAME}` or `file:/path`. When
    /// the calls stay away, the watcher alerts.
    pub heartbeat: Option<String>,
    /// How often it is called.
    pub heartbeat_every: Age,
}

fn age(text: &str) -> Age {
    Age(text.to_owned())
}

impl Default for AlertsSection {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            escalate_to: Vec::new(),
            escalate_after: 2,
            failures: true,
            times_expected: 2.0,
            error_rate_percent: 5.0,
            duplicates: 5,
            orphans: None,
            disk_percent: 80.0,
            index_efficiency_percent: 90.0,
            queue_backlog: None,
            queue_stuck: 0,
            backup_age: age("8 days"),
            late: age("1 hour"),
            transfer_errors: true,
            every: age("15 min"),
            remind_after: age("1 day"),
            heartbeat: None,
            heartbeat_every: age("1 min"),
        }
    }
}

/// A channel, ready to send.
pub struct Channel {
    /// Its name.
    pub name: String,
    /// How it sends.
    pub sort: Sort,
    /// Only messages of this level and above.
    pub level: Level,
    /// When only what is critical is sent.
    pub quiet: Option<Window>,
    /// How often what is not critical is sent together.
    pub digest: Option<SignedDuration>,
    /// How title and text are made.
    pub template: Template,
    /// How long the other side may take.
    pub patience: Duration,
    /// Sends.
    pub carrier: Box<dyn Carrier>,
}

/// All of it.
pub struct Settings {
    /// The channels, in the order of the file.
    pub channels: Vec<Channel>,
    /// What is told of runs that no schedule says anything about.
    pub usual: Notifications,
    /// Whether runs that somebody starts at the command line are told of.
    pub by_hand: bool,
    /// The same warning or failure is not said again within this time.
    pub repeat_after: SignedDuration,
    /// From when on something is an alert.
    pub alerts: AlertsSection,
    /// The address of an outside watcher.
    pub heartbeat: Option<SecretString>,
    /// Outside watchers of single schedules, by their names.
    pub watchers: Vec<(String, SecretString)>,
}

impl Default for Settings {
    /// Nobody is told of anything.
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            usual: Notifications::default(),
            by_hand: false,
            repeat_after: SignedDuration::from_hours(1),
            alerts: AlertsSection::default(),
            heartbeat: None,
            watchers: Vec::new(),
        }
    }
}

impl Settings {
    /// The outside watcher of a schedule.
    pub fn watcher(&self, schedule: &str) -> Option<&SecretString> {
        self.watchers.iter().find(|(of, _)| of == schedule).map(|(_, url)| url)
    }

    /// The channel of this name.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// Whether nobody is told of anything.
    pub fn is_silent(&self) -> bool {
        self.channels.is_empty()
    }

    /// Whether anybody outside hears anything, if only a sign of life.
    pub fn is_heard(&self) -> bool {
        !self.is_silent() || self.heartbeat.is_some()
    }
}

/// A length of time that was checked when the configuration was read.
pub fn length(age: &Age) -> SignedDuration {
    SignedDuration::try_from_secs_f64(age.about_seconds().unwrap_or(0.0)).unwrap_or(SignedDuration::ZERO)
}
