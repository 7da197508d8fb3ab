//! `[notify.NAME]`, `[notifications]` and `[alerts]`: what each channel needs, and names that must exist.
//!
//! Where messages go stands here and nowhere else (W-071): whoever adds a schedule over the API can name a channel, not an address on
//! the web.

use super::document::{Node, Value};
use super::problem::{Problem, nearest};
use super::resolve::{Outside, entries, section, value};
use super::whole::{check_name, check_names};
use engine::{Window, age::Age};
use notify::Template;
use notify::channel::{Carrier, Email, Exec, Slack, Telegram, Webhook, is_address};
use notify::settings::{
    AlertsSection, Channel, ChannelSection, NotificationsSection, Settings, Sort, Tls, length,
};
use scheduler::Notifications;
use secrecy::SecretString;
use std::time::Duration;

/// The table of the channels.
const SECTION: &str = "notify";
/// The other side may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

fn sort_of(name: &str, node: &Node) -> Option<Sort> {
    let said = node.entry("type").map_or(Some(name), Node::text)?;
    Sort::ALL.into_iter().find(|sort| sort.name() == said)
}

/// Checks all of it, beyond the schema.
pub fn check(tree: &Node, problems: &mut Vec<Problem>) {
    for (name, node) in entries(tree, SECTION) {
        check_name("a channel", name, node, problems);
        check_channel(name, node, problems);
    }
    if let Some(notifications) = tree.entry("notifications") {
        check_notifications(notifications, tree, problems);
    }
    if let Some(alerts) = tree.entry("alerts") {
        for key in ["channels", "escalate_to"] {
            check_names(alerts.entry(key), SECTION, tree, problems);
        }
        let positive = ["backup_age", "late", "every", "remind_after", "heartbeat_every"];
        check_lengths(alerts, &positive, problems);
        check_web_address(alerts.entry("heartbeat"), problems);
    }
}

/// Channels and recipients, of a schedule or of all.
pub fn check_notifications(notifications: &Node, tree: &Node, problems: &mut Vec<Problem>) {
    check_names(notifications.entry("channels"), SECTION, tree, problems);
    let names: Vec<&str> = entries(tree, SECTION).iter().map(|(name, _)| name.as_str()).collect();
    for item in notifications.entry("recipients").map(Node::items).unwrap_or_default() {
        let Some((what, help)) = item.text().and_then(|text| wrong_recipient(text, &names)) else { continue };
        problems.push(Problem::new(&item.path, item.span.clone(), what).help(help));
    }
}

/// What is wrong with who should get a message, and what to do; none when it can be somebody.
pub fn wrong_recipient(text: &str, channels: &[&str]) -> Option<(String, String)> {
    if text.contains("://") {
        // Told where schedules are read.
        return None;
    }
    if is_address(text) {
        return None;
    }
    match text.split_once(':') {
        Some((channel, to)) if channels.contains(&channel) && !to.trim().is_empty() => None,
        Some((channel, _)) => Some((
            format!("there is no channel `{channel}` for `{text}`"),
            match nearest(channel, channels) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write a mail address, or `CHANNEL:ADDRESS`".to_owned(),
            },
        )),
        None => Some((
            format!("`{text}` is no mail address"),
            "write a mail address, or `CHANNEL:ADDRESS`".to_owned(),
        )),
    }
}

fn check_lengths(node: &Node, keys: &[&str], problems: &mut Vec<Problem>) {
    for key in keys {
        let Some((entry, text)) = node.entry(key).and_then(|entry| Some((entry, entry.text()?))) else {
            continue;
        };
        if Age(text.to_owned()).about_seconds().is_ok_and(|seconds| !(1.0..=3.2e7).contains(&seconds)) {
            let what = format!("`{key}` is less than a second, or more than a year");
            problems.push(
                Problem::new(&entry.path, entry.span.clone(), what)
                    .help("write it like `15 min`, `1 hour` or `1 day`"),
            );
        }
    }
}

fn check_channel(name: &str, node: &Node, problems: &mut Vec<Problem>) {
    let sorts = || Sort::ALL.map(Sort::name).join(", ");
    if !matches!(node.value, Value::Table(_)) {
        return;
    }
    let Some(sort) = sort_of(name, node) else {
        if node.entry("type").is_none() {
            let what = format!("`{}` does not say its `type`", node.path);
            problems.push(Problem::new(&node.path, node.name_span.clone(), what).allowed(sorts()));
        }
        return;
    };
    let (own, needed) = sort.keys();
    for (key, entry) in node.entries() {
        let of_others = Sort::ALL.iter().any(|other| other.keys().0.contains(&key.as_str()));
        if of_others && !own.contains(&key.as_str()) {
            let what = format!("a channel of type `{}` has no `{key}`", sort.name());
            problems.push(Problem::new(&entry.path, entry.name_span.clone(), what).allowed(own.join(", ")));
        }
        if (key == "title" || key == "text")
            && let Some(Err(why)) = entry.text().map(Template::check)
        {
            let problem =
                Problem::new(&entry.path, entry.span.clone(), format!("`{key}` is no template: {why}"));
            problems.push(
                problem.help("write it like `{{ title }}` or `{% if level == \"critical\" %}…{% endif %}`"),
            );
        }
    }
    for key in needed.iter().filter(|key| node.entry(key).is_none()) {
        let what = format!("`{}` has no `{key}`", node.path);
        problems
            .push(Problem::new(&node.path, node.name_span.clone(), what).help(format!("add `{key} = …`")));
    }
    if let Some(command) = node.entry("command").filter(|command| command.items().is_empty()) {
        let what = format!("`{}` names no program", command.path);
        problems.push(
            Problem::new(&command.path, command.span.clone(), what)
                .help("write `command = [\"/usr/local/bin/page\"]`"),
        );
    }
    check_lengths(node, &["digest", "timeout"], problems);
    let addresses = node.entry("to").map(Node::items).unwrap_or_default();
    for item in node.entry("from").into_iter().chain(addresses) {
        let Some(text) = item.text().filter(|text| !text.contains("${") && !is_address(text)) else {
            continue;
        };
        let what = format!("`{text}` is no mail address");
        let problem = Problem::new(&item.path, item.span.clone(), what);
        problems.push(problem.help("write it like `ops@example.org`"));
    }
    check_password(node, problems);
    for key in ["url", "api"] {
        check_web_address(node.entry(key), problems);
    }
}

/// An address on the web, or a reference to one.
pub fn check_web_address(entry: Option<&Node>, problems: &mut Vec<Problem>) {
    let Some((entry, text)) = entry.and_then(|entry| Some((entry, entry.text()?))) else { return };
    let is_reference = text.contains("${") || text.starts_with("file:");
    if !is_reference && !text.starts_with("https://") && !text.starts_with("http://") {
        let what = format!("`{}` is no address on the web", entry.path);
        problems.push(
            Problem::new(&entry.path, entry.span.clone(), what)
                .help("write it like `https://…`, `${NAME}` or `file:/path`"),
        );
    }
}

/// A password does not go over a network in the clear.
fn check_password(node: &Node, problems: &mut Vec<Problem>) {
    let text = |key: &str| node.entry(key).and_then(Node::text);
    let here = text("server").is_some_and(|server| {
        server == "localhost" || server.starts_with("127.") || server == "::1" || server.contains("${")
    });
    if let Some(password) = node.entry("password").filter(|_| text("tls") == Some("off") && !here) {
        let what = "the password would be sent in the clear";
        problems.push(
            Problem::new(&password.path, password.name_span.clone(), what)
                .help("leave out `tls = \"off\"`, or use a server on this machine"),
        );
    }
}

/// Who is told what, from a tree that passed its check.
pub fn settings(tree: &Node, outside: &mut Outside) -> Settings {
    let mut channels = Vec::new();
    for (name, node) in entries(tree, SECTION) {
        channels.extend(channel(name, node, outside));
    }
    let usual: NotificationsSection = section(tree, "notifications");
    let alerts: AlertsSection = section(tree, "alerts");
    let heartbeat = tree.entry("alerts").and_then(|alerts| alerts.entry("heartbeat"));
    let plain = Notifications::default();
    let silent = Settings::default();
    Settings {
        channels,
        usual: Notifications {
            on_success: usual.on_success.unwrap_or(plain.on_success),
            on_failure: usual.on_failure.unwrap_or(plain.on_failure),
            on_warnings: usual.on_warnings.unwrap_or(plain.on_warnings),
            recipients: usual.recipients,
            channels: usual.channels,
        },
        by_hand: usual.by_hand,
        repeat_after: usual.repeat_after.as_ref().map_or(silent.repeat_after, length),
        alerts,
        heartbeat: heartbeat.and_then(|node| outside.secret(node)),
        watchers: entries(tree, "schedule")
            .iter()
            .filter_map(|(name, node)| Some((name.clone(), outside.secret(node.entry("heartbeat")?)?)))
            .collect(),
    }
}

fn channel(name: &str, node: &Node, outside: &mut Outside) -> Option<Channel> {
    let own: ChannelSection = value(Some(node));
    let sort = sort_of(name, node)?;
    let carrier = carrier(sort, &own, node, outside)?;
    let zone = own.quiet_zone.as_deref().unwrap_or("UTC");
    Some(Channel {
        name: name.to_owned(),
        sort,
        level: own.level,
        quiet: own.quiet.as_deref().and_then(|hours| Window::parse(hours, zone).ok()),
        digest: own.digest.as_ref().map(length),
        template: Template { title: own.title, text: own.text },
        patience: own.timeout.as_ref().map_or(PATIENCE, |age| length(age).unsigned_abs()),
        carrier,
    })
}

fn carrier(sort: Sort, own: &ChannelSection, node: &Node, outside: &mut Outside) -> Option<Box<dyn Carrier>> {
    let mut secret =
        |key: &str| -> Option<SecretString> { node.entry(key).and_then(|node| outside.secret(node)) };
    Some(match sort {
        Sort::Slack => Box::new(Slack { url: secret("url")? }),
        Sort::Webhook => Box::new(Webhook { url: secret("url")?, secret: secret("secret") }),
        Sort::Telegram => {
            let token = secret("token")?;
            let mut plain = |key: &str| node.entry(key).and_then(|node| outside.plain(node));
            Box::new(Telegram { api: plain("api"), token, chat: plain("chat")? })
        }
        Sort::Exec => Box::new(Exec { command: command(own, outside) }),
        Sort::Email => {
            let password = secret("password");
            let host = outside.environment.host();
            let authority = own.authority.as_ref().map(|file| outside.folder.join(file));
            let mut plain = |key: &str| node.entry(key).and_then(|node| outside.plain(node));
            let (server, user, from) = (plain("server")?, plain("user"), plain("from")?);
            let to = node.entry("to").map(Node::items).unwrap_or_default();
            Box::new(Email {
                server,
                port: own.port,
                tls: own.tls.unwrap_or(Tls::Starttls),
                authority,
                user,
                password,
                from,
                to: to.iter().filter_map(|one| outside.plain(one)).collect(),
                host,
            })
        }
    })
}

/// A program with a `/` in it that is no whole path lies beside the file.
fn command(own: &ChannelSection, outside: &Outside) -> Vec<String> {
    let mut command = own.command.clone();
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        *program = outside.folder.join(&*program).display().to_string();
    }
    command
}
