//! Titles and texts from templates (Jinja). A template that fails at sending never keeps a message back: what it would have
//! changed is sent as it was.

use crate::message::Message;
use minijinja::Environment;
use minijinja::value::Serde;

/// How the title and the text of a channel are made; as they are, where nothing else is said.
#[derive(Debug, Clone, Default)]
pub struct Template {
    /// Of the title.
    pub title: Option<String>,
    /// Of the text.
    pub text: Option<String>,
}

impl Template {
    /// The title and the text of a message.
    pub fn render(&self, message: &Message) -> (String, String) {
        let made = |template: &Option<String>, usual: &str| match template {
            Some(template) => rendered(template, message).unwrap_or_else(|_| usual.to_owned()),
            None => usual.to_owned(),
        };
        let title = made(&self.title, &message.title);
        // A title is one line everywhere.
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        (title, made(&self.text, &message.text))
    }

    /// Whether a template can be read; else why not.
    pub fn check(text: &str) -> Result<(), String> {
        let mut environment = Environment::new();
        environment.add_template("it", text).map_err(|error| said(&error))
    }
}

fn rendered(template: &str, message: &Message) -> Result<String, String> {
    Environment::new().render_str(template, Serde(message)).map_err(|error| said(&error))
}

fn said(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    format!("{}{line}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Event, Level};

    #[test]
    fn a_template_sees_every_field_and_a_bad_one_keeps_nothing_back() {
        let mut message = Message::new(
            Event::Failure,
            Level::Warning,
            "nightly failed",
            "because",
            "2026-11-29T02:00:00Z".parse().unwrap(),
        );
        message.schedule = Some("nightly".to_owned());
        message.metrics.insert("rows_deleted".to_owned(), 7.into());
        let template = Template {
            title: Some("[{{ level | upper }}]\n{{ schedule }}".to_owned()),
            text: Some(
                "{% if event == 'failure' %}{{ metrics.rows_deleted }} rows, <{{ text }}>{% endif %}"
                    .to_owned(),
            ),
        };
        assert_eq!(
            template.render(&message),
            ("[WARNING] nightly".to_owned(), "7 rows, <because>".to_owned())
        );
        let broken = Template { title: None, text: Some("{{ level | nosuch }}".to_owned()) };
        assert_eq!(broken.render(&message), ("nightly failed".to_owned(), "because".to_owned()));
        assert!(Template::check("{{ title }}").is_ok());
        assert!(Template::check("{% if %}").unwrap_err().contains("line 1"));
    }
}
