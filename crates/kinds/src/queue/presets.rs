//! The mappings of well-known queues, as data in files of their own beside this one.
//!
//! Each is a set of options like any other: what the configuration says is laid over it.

use engine::{Error, Result};
use serde_json::Value as Json;

/// Their names.
pub const NAMES: [&str; 11] = [
    "task_queue",
    "celery",
    "django_celery_results",
    "oban",
    "river",
    "solid_queue",
    "pg_boss",
    "procrastinate",
    "graphile_worker",
    "delayed_job",
    "django_q",
];

/// The options of a preset.
pub fn preset(name: &str) -> Result<Json> {
    let text = match name {
        "task_queue" => include_str!("presets/task_queue.json"),
        "celery" => include_str!("presets/celery.json"),
        "django_celery_results" => include_str!("presets/django_celery_results.json"),
        "oban" => include_str!("presets/oban.json"),
        "river" => include_str!("presets/river.json"),
        "solid_queue" => include_str!("presets/solid_queue.json"),
        "pg_boss" => include_str!("presets/pg_boss.json"),
        "procrastinate" => include_str!("presets/procrastinate.json"),
        "graphile_worker" => include_str!("presets/graphile_worker.json"),
        "delayed_job" => include_str!("presets/delayed_job.json"),
        "django_q" => include_str!("presets/django_q.json"),
        _ => {
            return Err(Error::usage(format!("there is no preset `{name}`"))
                .help(format!("the presets are {}", NAMES.join(", "))));
        }
    };
    serde_json::from_str(text)
        .map_err(|error| Error::system(format!("the preset `{name}` cannot be read")).because(error))
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::NAMES;

    #[test]
    fn every_preset_can_be_read_for_every_action_it_offers() {
        for name in NAMES {
            for action in ["prune", "stats"] {
                let said = serde_json::json!({"preset": name, "action": action});
                Options::read(&said).unwrap_or_else(|error| panic!("{name}, {action}: {error}"));
            }
        }
    }
}
