//! The written contract of plans, lists and short answers; that of runs is in `contract`.
//!
//! An entry that may grow with a kind (figures of a status, say) is open; everything else names all its fields.

use engine::{Plan, Report};
use serde_json::{Map, Value as Json, json};

/// The JSON Schemas by name.
pub fn schemas() -> Vec<(&'static str, Json)> {
    let mut plan = schemars::schema_for!(Plan).to_value();
    plan["description"] = "`plan --output json`, and what `--save` writes: what would happen.".into();
    vec![
        ("Plan", plan),
        ("Runs", runs()),
        ("Undo points", undo_points()),
        ("Undo point", undo_point()),
        ("Audit trail", audit_trail()),
        ("Sums", sums()),
        ("Status", status()),
        ("Digest", digest()),
        ("Doctor", doctor()),
        ("Answer", answer()),
    ]
}

fn runs() -> Json {
    let mut report = schemars::schema_for!(Report).to_value();
    let mut definitions =
        report.as_object_mut().and_then(|report| report.remove("$defs")).unwrap_or_default();
    definitions["Report"] = report;
    let of_list = list("Newest first.", json!({ "$ref": "#/$defs/Report" }));
    document("`runs list`: reports of earlier runs.", &[("runs", of_list)], definitions)
}

fn undo_points() -> Json {
    let entry = object(
        "One point, and where it is.",
        &[("database", text("The database.")), ("point", reference("Point", "The point."))],
        &[],
    );
    let mut definitions = point();
    definitions["Entry"] = entry;
    let points = list("Newest first.", json!({ "$ref": "#/$defs/Entry" }));
    document("`undo list`: what can be put back.", &[("undo_points", points)], definitions)
}

fn undo_point() -> Json {
    let any = json!({ "type": "object", "additionalProperties": true });
    let fields = [
        ("database", text("The database.")),
        ("point", reference("Point", "The point.")),
        ("conflicts", list("Rows that could not be put back: table, key and reason.", any.clone())),
        ("files", list("Files that were set aside.", any.clone())),
        ("indexes", list("Indexes that were dropped, with the statements that make them.", any)),
    ];
    document("`undo show`: one undo point.", &fields, point())
}

/// The definitions of an undo point.
fn point() -> Json {
    let open = |about: &str| json!({ "type": "object", "additionalProperties": true, "description": about });
    let remembered = object(
        "The remembered rows of one table.",
        &[
            ("seq", integer("The order in which the tables were first touched.")),
            ("change", text("`delete`, `update` or `insert`.")),
            ("source", open("The table, with its schema.")),
            ("undo", open("Where its rows are remembered.")),
            ("key", list("The columns of its key.", json!({ "type": "string" }))),
        ],
        &[],
    );
    let point = object(
        "What one operation of a run can put back.",
        &[
            ("id", text("The run, with the place of the operation when it is not the first.")),
            ("operation", text("The operation.")),
            ("actor", text("Who ran it.")),
            ("created_at", text("When it began.")),
            ("expires_at", or_null("string", "Until when it is kept.")),
            ("state", text("`open`, `used`, `partly` or the like: where it stands.")),
            ("tables", list("What it remembers.", json!({ "$ref": "#/$defs/Remembered" }))),
            ("scopes", list("Parts that can be put back one by one.", json!({}))),
            ("scope", text("For such a part: what it is about.")),
            ("batch", integer("For such a part: its batch.")),
        ],
        &["scopes", "scope", "batch"],
    );
    json!({ "Point": point, "Remembered": remembered })
}

fn audit_trail() -> Json {
    let entry = object(
        "One line.",
        &[
            ("at", text("When.")),
            ("actor", text("Who.")),
            ("action", text("Did what.")),
            ("object", text("To what.")),
            ("detail", text("With which options, and what it came to.")),
        ],
        &[],
    );
    let audit = list("Newest first.", json!({ "$ref": "#/$defs/Line" }));
    document("`audit`: who did what.", &[("audit", audit)], json!({ "Line": entry }))
}

fn sums() -> Json {
    let sum = object(
        "What the real runs of one operation came to.",
        &[
            ("operation", text("The operation.")),
            ("runs", integer("How many.")),
            ("completed", integer("Of these.")),
            ("failed", integer("Of these.")),
            ("other", integer("Of these: refused, skipped, stopped.")),
            ("rows", integer("Deleted, changed or put back.")),
            ("rows_dependent", integer("What hung on them.")),
            ("retries", integer("Batches that were tried again.")),
            ("seconds", json!({ "type": "number", "description": "In all." })),
            ("last_run", or_null("string", "When.")),
            ("last_status", or_null("string", "What it came to.")),
            ("errors", list("Of these runs.", json!({ "type": "string" }))),
        ],
        &[],
    );
    let fields = [
        ("since", or_null("string", "From when on; null for ever.")),
        ("runs", integer("Real ones.")),
        ("dry_runs", integer("Left out of the figures.")),
        ("operations", list("One entry each.", json!({ "$ref": "#/$defs/Sum" }))),
        ("recommendations", list("What the figures advise.", json!({ "type": "string" }))),
    ];
    document("`report`: the runs of some time, summed up.", &fields, json!({ "Sum": sum }))
}

fn status() -> Json {
    let figures = json!({
        "type": "object",
        "additionalProperties": true,
        "description": "`total_runs`, `successful_runs`, `failed_runs`, `last_run_at`, `last_status`, `success_rate` (null before the \
                        first run), and the figures of the operations' kinds.",
    });
    let fields = [
        ("running", json!({ "type": "boolean", "description": "Whether something is at work." })),
        ("runs_at_work", list("Their ids.", json!({ "type": "string" }))),
        (
            "scheduler",
            json!({
                "type": "object",
                "additionalProperties": true,
                "description": "Whether a process serves the schedules (`running`), and which (`workers`).",
            }),
        ),
        (
            "schedules",
            list(
                "How each schedule stands: `name`, `enabled`, `zone`, `next_run`, `last_run`, `last_status`, `last_error`, \
                 `dry_run_first`.",
                json!({ "type": "object", "additionalProperties": true }),
            ),
        ),
        ("statistics", figures),
        (
            "last_seven_days",
            json!({
                "type": "object",
                "additionalProperties": true,
                "description": "`runs`, `failed`, `error_rate` (null under 20 runs), `is_high` (more than 5 %).",
            }),
        ),
    ];
    document("`status`: what is at work, and the statistics so far.", &fields, json!({}))
}

fn digest() -> Json {
    let table = object(
        "One table.",
        &[
            ("database", text("Its database.")),
            ("table", text("Its name.")),
            ("rows", integer("How many.")),
            ("digest", text("Equal when the rows are the same, to the bit.")),
        ],
        &[],
    );
    let tables = list("In the order of their names.", json!({ "$ref": "#/$defs/Table" }));
    document(
        "`digest`: a checksum of the rows of every table.",
        &[("tables", tables)],
        json!({ "Table": table }),
    )
}

fn doctor() -> Json {
    let any = |about: &str| json!({ "type": ["object", "null"], "additionalProperties": true, "description": about });
    let boolean = |about: &str| json!({ "type": "boolean", "description": about });
    let finding = object(
        "One finding.",
        &[
            ("code", text("Stable, for machines.")),
            ("level", text("`warning` needs you, `note` is good to know.")),
            ("harm", integer("100 is losing data tomorrow, 0 is good to know.")),
            ("object", text("What it is about.")),
            ("what", text("What was found, with figures.")),
            ("remedy", text("The command or the line that mends it.")),
        ],
        &[],
    );
    let database = object(
        "What one database came to.",
        &[
            ("label", text("As it is named in the configuration, or its place.")),
            ("passed", boolean("Whether nothing needs you.")),
            ("warnings", integer("How many findings need you.")),
            ("database", any("Engine, version, name, host and user.")),
            ("size_bytes", integer("The size of the database.")),
            ("findings", list("The most harmful first.", json!({ "$ref": "#/$defs/Finding" }))),
            (
                "compared",
                any("What is `new` and what is `gone` `since` the last look; null before there was one."),
            ),
            ("growth", any("Rates a day, from the looks of the last 30 days, and the sizes so far.")),
            (
                "largest_tables",
                list(
                    "At most 20.",
                    json!({ "type": "object", "additionalProperties": true, "description": "One table." }),
                ),
            ),
            ("figures", any("The figures that say how a database is; null where nobody counts.")),
        ],
        &[],
    );
    let fields = [
        ("success", boolean("Always true; what cannot be looked at is an error.")),
        ("at", text("When.")),
        ("passed", boolean("Whether nothing in any of them needs you.")),
        ("databases", list("One for each database.", json!({ "$ref": "#/$defs/Database" }))),
    ];
    document(
        "`doctor --output json`: findings by harm.",
        &fields,
        json!({ "Finding": finding, "Database": database }),
    )
}

fn answer() -> Json {
    json!({
        "type": "object",
        "description": "Of commands that change or check something without a run: `config check`, `init`, `stop`, `undo drop`, \
                        `undo release`. What they did is named beside `success`.",
        "required": ["schema_version", "success"],
        "additionalProperties": true,
        "properties": {
            "schema_version": integer("Of this document."),
            "success": { "type": "boolean", "description": "Always true; what fails is an error document." },
        },
    })
}

/// A document with these fields beside its version.
pub(super) fn document(about: &str, fields: &[(&str, Json)], definitions: Json) -> Json {
    let version = [("schema_version", integer("Of this document."))];
    let all: Vec<(&str, Json)> = version.into_iter().chain(fields.iter().cloned()).collect();
    let mut document = object(about, &all, &[]);
    document["$defs"] = definitions;
    document
}

/// An object that has all of these fields, but for the optional ones, and no others.
pub(super) fn object(about: &str, fields: &[(&str, Json)], optional: &[&str]) -> Json {
    let required: Vec<&str> =
        fields.iter().map(|(name, _)| *name).filter(|name| !optional.contains(name)).collect();
    let properties: Map<String, Json> =
        fields.iter().map(|(name, field)| ((*name).to_owned(), field.clone())).collect();
    json!({
        "type": "object",
        "description": about,
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    })
}

pub(super) fn text(about: &str) -> Json {
    json!({ "type": "string", "description": about })
}

pub(super) fn integer(about: &str) -> Json {
    json!({ "type": "integer", "description": about })
}

pub(super) fn or_null(sort: &str, about: &str) -> Json {
    json!({ "type": [sort, "null"], "description": about })
}

pub(super) fn list(about: &str, items: Json) -> Json {
    json!({ "type": "array", "description": about, "items": items })
}

fn reference(definition: &str, about: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{definition}"), "description": about })
}
