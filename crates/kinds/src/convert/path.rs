//! The name of a file, made from a row: literal pieces, columns and arguments.
//!
//! What a column brings can name a file or folder, but not leave its place: it has no `/`, is not empty and not `..`.

use engine::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use targets::db::Table;
use targets::files::check_name;

/// A name with gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Path {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Piece {
    Text(String),
    /// The n-th of [`Path::columns`].
    Column(String),
    Number,
}

impl Path {
    /// Reads a template. Names are those of columns of the table, or else of texts among the arguments.
    pub fn read(template: &str, table: &Table, args: &BTreeMap<String, Json>) -> Result<Path> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else {
                return Err(Error::usage(format!("`file` has a `{{` without an end: `{template}`"))
                    .help("write `{column}` for the value of a column"));
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match (name, table.column(name), args.get(name)) {
                ("$n", _, _) => Piece::Number,
                (_, Some(column), _) => Piece::Column(column.name.clone()),
                (_, None, Some(Json::String(text))) => Piece::Text(text.clone()),
                _ => {
                    return Err(Error::usage(format!(
                        "`file` names `{{{name}}}`, which is no column and no text of `args`"
                    ))
                    .help(format!(
                        "the columns of `{}` are {}",
                        table.name,
                        names(table)
                    )));
                }
            });
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let path = Path { pieces };
        // As it would be for harmless values: what is wrong with it then is wrong with the template.
        path.fill(&vec![Some("x"); path.columns().len()], 1).map_err(|reason| {
            Error::usage(format!("`file = \"{template}\"` makes no name: {reason}"))
                .help("write a relative name such as `{id}/result.json`")
        })?;
        Ok(path)
    }

    /// The columns in it, in order.
    pub fn columns(&self) -> Vec<&str> {
        let columns = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name.as_str()),
            _ => None,
        });
        columns.collect()
    }

    /// Whether each value of a row gets a name of its own.
    pub fn is_numbered(&self) -> bool {
        self.pieces.contains(&Piece::Number)
    }

    /// The name for these values of the columns, or why there is none.
    pub fn fill(&self, values: &[Option<&str>], number: usize) -> std::result::Result<String, String> {
        let mut values = values.iter();
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Number => name.push_str(&number.to_string()),
                Piece::Column(column) => {
                    let value = values.next().copied().flatten().unwrap_or_default();
                    if value.is_empty() {
                        return Err(format!("`{column}` is empty, so its file would have no name"));
                    }
                    if value.contains('/') || value.contains('\\') {
                        return Err(format!(
                            "`{column}` holds `{}`, which could lead elsewhere",
                            value.escape_debug()
                        ));
                    }
                    name.push_str(value);
                }
            }
        }
        check_name(&name).map_err(|error| error.what)?;
        match name.split('/').next() == Some(engine::QUARANTINE) {
            true => Err(format!("`{name}` lies in Sexton's own folder")),
            false => Ok(name),
        }
    }
}

fn names(table: &Table) -> String {
    table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}
