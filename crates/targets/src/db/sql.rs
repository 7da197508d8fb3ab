//! A statement in the making: text, quoted names and parameters, joined without ever mixing them up.
//!
//! Values can only become parameters and names can only be quoted; the text pieces are literals of the
//! program, or SQL from the configuration file (`raw`), which is trusted by decision.

use super::{Dialect, TableName, Value};

/// A statement or a fragment of one. Fragments are joined with [`Sql::add`]; parameters keep their place.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Sql {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Piece {
    Text(String),
    Param(Value),
}

/// The name in double quotes, which both databases understand.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Sql {
    /// Begins with a piece of text.
    pub fn new(text: &str) -> Self {
        Self::default().text(text)
    }

    /// SQL that a person wrote in the configuration or a migration file.
    pub fn raw(text: &str) -> Self {
        Self::new(text)
    }

    /// Appends text of the program.
    pub fn text(mut self, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
        self
    }

    /// Appends a quoted column name.
    pub fn name(self, name: &str) -> Self {
        let quoted = quote(name);
        self.text(&quoted)
    }

    /// Appends a list of quoted column names, each with `prefix` (such as `t.`) before it.
    pub fn names<'a>(self, prefix: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let list: Vec<String> = names.into_iter().map(|name| format!("{prefix}{}", quote(name))).collect();
        self.text(&list.join(", "))
    }

    /// Appends a quoted table name with its schema.
    pub fn table(self, table: &TableName) -> Self {
        let quoted = table.quoted();
        self.text(&quoted)
    }

    /// Appends a parameter.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.pieces.push(Piece::Param(value.into()));
        self
    }

    /// Appends another fragment with its parameters.
    #[allow(clippy::should_implement_trait)] // `+` would hide that the parameters move along
    pub fn add(mut self, other: &Sql) -> Self {
        for piece in &other.pieces {
            match piece {
                Piece::Text(text) => self = self.text(text),
                Piece::Param(value) => self.pieces.push(Piece::Param(value.clone())),
            }
        }
        self
    }

    /// Joins fragments with `between`.
    pub fn join(fragments: &[Sql], between: &str) -> Self {
        let mut all = Sql::default();
        for (n, fragment) in fragments.iter().enumerate() {
            all = if n == 0 { all } else { all.text(between) };
            all = all.add(fragment);
        }
        all
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The text with the dialect's placeholders, and the parameters in their order.
    pub fn render(&self, dialect: &dyn Dialect) -> (String, Vec<&Value>) {
        let mut text = String::new();
        let mut params = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Param(value) => {
                    params.push(value);
                    text.push_str(&dialect.placeholder(params.len()));
                }
            }
        }
        (text, params)
    }

    /// The statement as a person would type it, for plans and messages. Never sent to a database.
    pub fn shown(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Param(value) => value.to_string(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_quotes_is_just_a_name() {
        // W-041, W-042
        let sql = Sql::new("select * from ").table(&TableName::bare("a\"; drop table x; --"));
        assert_eq!(sql.shown(), "select * from \"a\"\"; drop table x; --\"");
    }

    #[test]
    fn a_fragment_without_text_is_empty() {
        assert!(Sql::raw("").is_empty() && Sql::new("").add(&Sql::default()).is_empty());
    }

    #[test]
    fn joined_fragments_keep_their_parameters_in_order() {
        let a = Sql::new("a = ").bind(1_i64);
        let b = Sql::new("b = ").bind("x'y");
        assert_eq!(Sql::join(&[a, b], " and ").shown(), "a = 1 and b = 'x''y'");
    }
}
