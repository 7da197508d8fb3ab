//! A way into JSON: names, and lists whose items are all meant.

use super::{Error, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    EachItem,
}

/// `$.blocks[*].author."e-mail"`. A list at the end needs no `[*]`: what lies there may be one value or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// Reads a path. What would be read as something else is refused: it would find nothing.
    pub fn read(text: &str) -> Result<JsonPath> {
        let refuse = || {
            Error::usage(format!("the JSON path `{text}` is not understood")).help(
                "the forms are `$.a.b`, `$.a[*].b` for each item of a list, names with other signs in quotes as in `$.\"a-b\"`",
            )
        };
        let whole = text.trim();
        let whole = whole.strip_suffix("[*]").unwrap_or(whole);
        let (mut rest, mut first) = match whole.strip_prefix('$') {
            Some(rest) => (rest, false),
            None => (whole, true),
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[*]").filter(|_| !first) {
                steps.push(Step::EachItem);
                rest = after;
                continue;
            }
            if !std::mem::take(&mut first) {
                rest = rest.strip_prefix('.').ok_or_else(refuse)?;
            }
            let (name, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(refuse)?,
                None => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                    rest.split_at(end)
                }
            };
            if name.is_empty() {
                return Err(refuse());
            }
            steps.push(Step::Name(name.to_owned()));
            rest = after;
        }
        Ok(JsonPath(steps))
    }

    /// The lists on the way: the names that lead to each from the item of the one before.
    pub fn lists(&self) -> Vec<Vec<&str>> {
        let mut parts = self.parts();
        parts.pop();
        parts
    }

    /// The names from the item of the last list, or from the whole value, to the end.
    pub fn end(&self) -> Vec<&str> {
        self.parts().pop().unwrap_or_default()
    }

    fn parts(&self) -> Vec<Vec<&str>> {
        let parts = self.0.split(|step| *step == Step::EachItem);
        parts
            .map(|steps| {
                let names = steps.iter().map(|step| match step {
                    Step::Name(name) => name.as_str(),
                    Step::EachItem => "",
                });
                names.collect()
            })
            .collect()
    }
}

/// As it is shown in reports, without what stands before the first name: `a[*].b`.
impl std::fmt::Display for JsonPath {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::EachItem => out.write_str("[*]")?,
                Step::Name(name) => write!(out, "{}{name}", if n == 0 { "" } else { "." })?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::JsonPath;

    #[test]
    fn a_path_is_read_or_refused() {
        let read = |text: &str| JsonPath::read(text).unwrap();
        assert_eq!(read("$.a.ids[*]").to_string(), "a.ids");
        assert_eq!((read("$").end(), read("$[*]").end()), (vec![], vec![]));
        assert_eq!((read("ids").end(), read("a.b[*]").end()), (vec!["ids"], vec!["a", "b"]));
        assert_eq!(read(r#"$."e-mail".x"#).end(), ["e-mail", "x"]);
        let deep = read("$.blocks[*].rows[*][*].lesson.id");
        assert_eq!(deep.lists(), [vec!["blocks"], vec!["rows"], vec![]]);
        assert_eq!(deep.end(), ["lesson", "id"]);
        assert_eq!(deep.to_string(), "blocks[*].rows[*][*].lesson.id");
        assert_eq!(read("$[*].l").lists(), [Vec::<&str>::new()]);
        for text in
            ["$.a[0].l", "[*].a", "nonsense[", "$.x-y", "$..a", "$.a.", "$a", "$.\"x", ".a", "$.a[*]b"]
        {
            assert!(JsonPath::read(text).is_err(), "{text}");
        }
    }
}
