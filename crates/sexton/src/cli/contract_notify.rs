//! The written contract of messages: the body of a webhook (N1), and what `sexton notify` tells.

use super::contract_lists::{document, integer, list, object, or_null, text};
use serde_json::{Value as Json, json};

/// The JSON Schemas by name.
pub fn schemas() -> Vec<(&'static str, Json)> {
    let mut message = schemars::schema_for!(notify::Message).to_value();
    message["description"] = "The body of a webhook, and what a program of type `exec` gets on stdin.".into();
    vec![("Message", message), ("Tested channels", tested()), ("Notes", notes()), ("Sent", sent())]
}

fn tested() -> Json {
    let channel = object(
        "One channel.",
        &[
            ("channel", text("Its name.")),
            ("type", text("`email`, `slack`, `telegram`, `webhook` or `exec`.")),
            ("error", or_null("string", "Why it did not take the test; null when it did.")),
        ],
        &[],
    );
    document(
        "`notify test`: whether channels take a message.",
        &[("tested", list("In the order of the configuration.", json!({ "$ref": "#/$defs/Channel" })))],
        json!({ "Channel": channel }),
    )
}

fn notes() -> Json {
    let any = |about: &str| json!({ "type": "object", "additionalProperties": true, "description": about });
    let flag = |about: &str| json!({ "type": "boolean", "description": about });
    let note = object(
        "One message for one channel.",
        &[
            ("id", text("The same at every try.")),
            ("channel", text("The channel.")),
            (
                "recipients",
                list("Who gets it instead of those that the channel names.", json!({ "type": "string" })),
            ),
            ("urgent", flag("It waits for no digest and no quiet hours.")),
            ("held", flag("It was put off on purpose, to go together with others.")),
            ("body", any("The message, as under *Message*.")),
            (
                "state",
                text(
                    "`waiting`, `sending`, `sent`, `failed`, or `repeated`: the same was said a short while before.",
                ),
            ),
            ("tries", integer("How often it was tried.")),
            ("made", text("When it was written down.")),
            ("due", text("Not before this.")),
            ("ended", or_null("string", "When it was sent, or given up.")),
            ("error", or_null("string", "Why the last try failed.")),
        ],
        &[],
    );
    let alarm = object(
        "Something that is wrong.",
        &[
            ("id", text("What it is about, such as `disk/main`.")),
            ("level", text("`warning` or `critical`.")),
            ("title", text("What people read.")),
            ("since", text("Since when.")),
            ("told", text("When it was told last.")),
        ],
        &[],
    );
    document(
        "`notify list`: the outbox, and what is wrong now.",
        &[
            ("counts", any("How many stand how.")),
            ("alarms", list("The worst first.", json!({ "$ref": "#/$defs/Alarm" }))),
            ("notes", list("Newest first.", json!({ "$ref": "#/$defs/Note" }))),
        ],
        json!({ "Note": note, "Alarm": alarm }),
    )
}

fn sent() -> Json {
    let away = object(
        "Messages that a channel did not take.",
        &[("channel", text("The channel.")), ("notes", integer("How many.")), ("error", text("Why."))],
        &[],
    );
    document(
        "`notify send` and `notify check`.",
        &[
            ("sent", integer("How many messages were sent.")),
            ("not_sent", list("By channel.", json!({ "$ref": "#/$defs/Away" }))),
            ("wrong", list("`notify check`: what is wrong, one line each.", json!({ "type": "string" }))),
        ],
        json!({ "Away": away }),
    )
}
