//! The written contract of what `migrate diff` and fleets say.

use super::contract_lists::{document, integer, list, object, or_null, text};
use serde_json::{Value as Json, json};

/// The JSON Schemas by name.
pub fn schemas() -> Vec<(&'static str, Json)> {
    vec![("Schema comparison", comparison()), ("Fleet run", fleet_run()), ("Fleet status", fleet_status())]
}

fn yes(about: &str) -> Json {
    json!({ "type": "boolean", "description": about })
}

fn texts(about: &str) -> Json {
    list(about, json!({ "type": "string" }))
}

fn comparison() -> Json {
    let changed = object(
        "One fact that differs.",
        &[
            ("fact", text("Which: `type`, `default`, `definition` …")),
            ("expected", or_null("string", "As expected; null: not at all.")),
            ("found", or_null("string", "As it is; null: not at all.")),
        ],
        &[],
    );
    let difference = object(
        "One object that is not as expected.",
        &[
            ("what", text("`missing`, `extra` or `different`.")),
            ("kind", text("In the words of SQL: `table`, `foreign key`.")),
            ("name", text("As statements spell it.")),
            ("of", or_null("string", "The table that it goes with.")),
            (
                "facts",
                list("What differs, where it is there on both sides.", json!({ "$ref": "#/$defs/Changed" })),
            ),
            (
                "with",
                json!({
                    "type": "object",
                    "additionalProperties": { "type": "integer" },
                    "description": "How many objects of which kind are missing or extra with it.",
                }),
            ),
            ("statements", texts("What would mend it without losing a row. Nothing runs it.")),
            ("by_hand", text("Why there is no such statement, and what to do.")),
        ],
        &["by_hand"],
    );
    document(
        "`migrate diff`: a schema against what is expected.",
        &[
            ("database", text("The database.")),
            ("against", text("What was expected, in words.")),
            ("pending_left_out", texts("Migrations that are not in, and so not expected.")),
            ("equal", yes("Whether nothing differs.")),
            ("expected", integer("How many objects were expected.")),
            ("found", integer("How many objects there are.")),
            ("differences", list("All that differs.", json!({ "$ref": "#/$defs/Difference" }))),
            ("statements", texts("All statements that are offered, in an order in which they can run.")),
        ],
        json!({ "Difference": difference, "Changed": changed }),
    )
}

fn fleet_run() -> Json {
    let any = |about: &str| json!({ "description": about });
    let database = object(
        "What became of one database.",
        &[
            ("name", text("The database.")),
            (
                "state",
                text(
                    "`done`, `up to date`, `partial`, `failed`, `refused`, `busy`, `stopped` or `not begun`.",
                ),
            ),
            ("canary", yes("Whether it was among those that go first.")),
            ("run_id", or_null("string", "Its run in the log.")),
            ("current", any("The version that it has now.")),
            ("target", any("The version that is wanted.")),
            ("migrations", any("What was brought in, or taken out.")),
            ("seconds", json!({ "type": "number", "description": "How long it took." })),
            ("error", or_null("string", "What failed.")),
            ("help", or_null("string", "Something to do.")),
        ],
        &["run_id", "current", "target", "migrations", "seconds", "error", "help"],
    );
    document(
        "`migrate up --fleet` and the like: what became of each database.",
        &[
            ("fleet", text("The fleet.")),
            ("total", integer("How many databases it has.")),
            ("done", integer("How many were brought there.")),
            ("up_to_date", integer("How many had nothing to do.")),
            ("failed", integer("How many failed, were refused or busy.")),
            ("stopped", integer("How many were stopped at work.")),
            ("not_begun", integer("How many were not begun.")),
            ("why", or_null("string", "Why some were not begun.")),
            ("exit_code", integer("As the process ends.")),
            ("databases", list("In the order of the fleet.", json!({ "$ref": "#/$defs/Member" }))),
        ],
        json!({ "Member": database }),
    )
}

fn fleet_status() -> Json {
    let any = |about: &str| json!({ "description": about });
    let database = object(
        "What one database has.",
        &[
            ("name", text("The database.")),
            ("ok", yes("Whether nothing stands in the way.")),
            ("current", any("The version that it has.")),
            ("target", any("The version that is wanted.")),
            ("pending", any("What is not in.")),
            ("problems", any("What stands in the way, each with `what` and `help`.")),
            ("error", or_null("string", "Why it cannot be looked at.")),
            ("help", or_null("string", "Something to do.")),
        ],
        &["current", "target", "pending", "problems", "help"],
    );
    document(
        "`migrate status --fleet`, `check`, `verify`, `plan` and `--dry-run`: what each database has.",
        &[
            ("fleet", text("The fleet.")),
            ("total", integer("How many databases it has.")),
            ("needed", integer("How many need something.")),
            ("unreadable", integer("How many cannot be looked at.")),
            ("databases", list("In the order of the fleet.", json!({ "$ref": "#/$defs/Member" }))),
        ],
        json!({ "Member": database }),
    )
}
