//! Members of JSON documents that the source's own expressions read: `json_extract(data, '$.a')` and `data ->> 'a'`.
//!
//! SQLite gives each member the type that it has in its document, PostgreSQL gives all of one expression one type. So the source is
//! asked what its documents hold there, as it is asked what is in its columns.

use super::expression::{Outcome, Said, Scope, Sort, no, said, string};
use super::grammar::unquoted;
use sqlite3_parser::ast::{Expr, Literal, Operator, UnaryOperator};

/// A step on the way into a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Key(String),
    /// Counted from the end where it is negative.
    At(i64),
}

/// The way to a member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(Vec<Step>);

/// What all documents hold at the end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// Texts, or nothing yet.
    Text,
    /// Whole numbers of 64 bits.
    Whole,
    /// Numbers, of which none is whole where this is true.
    Number(bool),
    /// Truth values.
    Truth,
    /// Several kinds, or documents.
    Other,
}

impl Path {
    /// A way as `json_extract` takes it: `$.a."b c"[0][#-1]`. None for the document itself, and for what no way of PostgreSQL says.
    pub fn read(written: &str) -> Option<Self> {
        let mut rest = written.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(quoted) = rest.strip_prefix(".\"") {
                let (key, after) = quoted.split_once('"')?;
                (Step::Key(key.to_owned()), after)
            } else if let Some(plain) = rest.strip_prefix('.') {
                let end = plain.find(['.', '[']).unwrap_or(plain.len());
                (Step::Key(plain[..end].to_owned()), &plain[end..])
            } else {
                let (at, after) = rest.strip_prefix('[')?.split_once(']')?;
                (Step::At(at.strip_prefix('#').unwrap_or(at).parse().ok()?), after)
            };
            steps.push(step);
            rest = after;
        }
        Self::of(steps)
    }

    /// A way as the arrows take it.
    fn of_key(text: &str) -> Option<Self> {
        match text.starts_with('$') {
            true => Self::read(text),
            false => Self::of(vec![Step::Key(text.to_owned())]),
        }
    }

    fn of(steps: Vec<Step>) -> Option<Self> {
        let is_plain = |step: &Step| match step {
            Step::Key(key) => !key.is_empty() && !key.contains(['"', '\\', '\0']),
            Step::At(_) => true,
        };
        (!steps.is_empty() && steps.iter().all(is_plain)).then_some(Self(steps))
    }

    /// As SQLite takes it.
    pub fn written(&self) -> String {
        let step = |step: &Step| match step {
            Step::Key(key) => format!(".\"{key}\""),
            Step::At(at @ 0..) => format!("[{at}]"),
            Step::At(at) => format!("[#{at}]"),
        };
        format!("${}", self.0.iter().map(step).collect::<String>())
    }

    /// What is at its end, as a document.
    fn member(&self, document: &str) -> String {
        self.arrows(document, " -> ").unwrap_or_else(|| self.query(document))
    }

    /// What is at its end, as a text.
    fn text(&self, document: &str) -> String {
        self.arrows(document, " ->> ").unwrap_or_else(|| format!("({} #>> '{{}}')", self.query(document)))
    }

    /// Keys one behind the other, as people write them; none where there is another step.
    fn arrows(&self, document: &str, last: &str) -> Option<String> {
        let mut sql = document.to_owned();
        for (n, step) in self.0.iter().enumerate() {
            let Step::Key(key) = step else { return None };
            sql.push_str(if n + 1 == self.0.len() { last } else { " -> " });
            sql.push_str(&string(key));
        }
        Some(format!("({sql})"))
    }

    /// Places of arrays, too: an arrow would take a text or a number for an array of one.
    fn query(&self, document: &str) -> String {
        let step = |step: &Step| match step {
            Step::Key(key) => format!(".\"{key}\""),
            Step::At(at @ 0..) => format!("[{at}]"),
            Step::At(-1) => "[last]".to_owned(),
            Step::At(at) => format!("[last - {}]", -(at + 1)),
        };
        let way = format!("strict ${}", self.0.iter().map(step).collect::<String>());
        format!("jsonb_path_query_first({document}, {}, '{{}}', true)", string(&way))
    }
}

/// The ways that a statement may go, among them some that it does not: texts that look like one, and whatever is behind an arrow.
pub fn named(statement: &str) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut add = |path: Option<Path>| {
        paths.extend(path.clone().filter(|path| !paths.contains(path)));
        path
    };
    if statement.to_ascii_lowercase().contains("json_array_length") {
        add(Some(Path(Vec::new())));
    }
    let mut rest = statement;
    // what was behind the last arrow, as long as nothing came since
    let mut last: Option<Path> = None;
    while let Some(at) = rest.find(['\'', '>']) {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        if rest[at..].starts_with('\'') {
            let Some(end) = after.find('\'') else { break };
            add(Path::read(&after[..end]));
            (last, rest) = (None, &after[end + 1..]);
            continue;
        }
        let operand = after.strip_prefix('>').unwrap_or(after).trim_start();
        if !before.ends_with('-') {
            (last, rest) = (None, after);
            continue;
        }
        let (own, behind) = match operand.strip_prefix('\'') {
            Some(text) => {
                let (text, behind) = text.split_once('\'').unwrap_or((text, ""));
                (Path::of_key(text), behind)
            }
            None => {
                let is_digit = |letter: char| letter.is_ascii_digit() || letter == '-';
                let end = operand.find(|letter| !is_digit(letter)).unwrap_or(operand.len());
                (operand[..end].parse().ok().and_then(|at| Path::of(vec![Step::At(at)])), &operand[end..])
            }
        };
        let chained = last.filter(|_| before.trim() == "-");
        last = add(own.map(|own| Path(chained.into_iter().flat_map(|path| path.0).chain(own.0).collect())));
        rest = behind;
    }
    paths
}

/// The way that an argument of `json_extract` says.
fn way(path: &Expr) -> Option<Path> {
    match path {
        Expr::Literal(Literal::String(text)) => Path::read(&unquoted(text)),
        _ => None,
    }
}

/// The way behind an arrow: a whole one, a key, or a place in an array.
fn arrow_way(path: &Expr) -> Option<Path> {
    match path {
        Expr::Literal(Literal::String(text)) => Path::of_key(&unquoted(text)),
        Expr::Literal(Literal::Numeric(digits)) => Path::of(vec![Step::At(digits.parse().ok()?)]),
        Expr::Unary(UnaryOperator::Negative, Expr::Literal(Literal::Numeric(digits))) => {
            Path::of(vec![Step::At(format!("-{digits}").parse().ok()?)])
        }
        _ => None,
    }
}

/// `json_extract` with one way.
pub(super) fn extract(expr: &Expr, document: &Expr, path: &Expr, scope: Scope) -> Outcome {
    member(expr, &said(document, scope)?, way(path), scope)
}

/// `->>`
pub(super) fn arrow_text(expr: &Expr, document: &Expr, path: &Expr, scope: Scope) -> Outcome {
    member(expr, &said(document, scope)?, arrow_way(path), scope)
}

/// `->`
pub(super) fn arrow(expr: &Expr, document: &Expr, path: &Expr, scope: Scope) -> Outcome {
    let part = said(document, scope)?;
    let (path, document) = arrow_way(path).zip(document_of(&part)).ok_or_else(|| no(expr))?;
    // the ways that begin there are known as well
    let members = part.members.iter().filter_map(|(known, member)| {
        let rest = known.0.strip_prefix(path.0.as_slice())?;
        Some((Path::of(rest.to_vec())?, *member))
    });
    let members = members.collect();
    Ok(Said { members, ..Said::new(path.member(&document), Sort::Json) })
}

/// A member of whatever kind, where nothing is asked but whether it is there.
pub(super) fn any(expr: &Expr, scope: Scope) -> Option<Said> {
    let (document, path) = match expr {
        Expr::FunctionCall { name, args: Some([document, path]), .. }
            if name.0.eq_ignore_ascii_case("json_extract") =>
        {
            (document, way(path)?)
        }
        Expr::Binary(document, Operator::ArrowRightShift, path) => (*document, arrow_way(path)?),
        _ => return None,
    };
    let document = document_of(&said(document, scope).ok()?)?;
    Some(Said::new(path.text(&document), Sort::Mixed))
}

/// The document in a column, as `jsonb`; none where that is not known to be one.
fn document_of(part: &Said) -> Option<String> {
    match part.sort {
        _ if part.members.is_empty() => None,
        Sort::Json => Some(part.sql.clone()),
        Sort::Text => Some(format!("{}::jsonb", part.sql)),
        _ => None,
    }
}

fn member(expr: &Expr, part: &Said, path: Option<Path>, scope: Scope) -> Outcome {
    let path = path.ok_or_else(|| no(expr))?;
    let known = part.members.iter().find(|(known, _)| *known == path).map(|(_, member)| *member);
    let document = document_of(part).ok_or_else(|| no(expr))?;
    let text = path.text(&document);
    // members of another type may come: they are none of this one, and no error
    let only = |typ: &str, sql: String| {
        let member = path.member(&document);
        format!("(case when jsonb_typeof({member}) = '{typ}' then {sql} end)")
    };
    Ok(match known.ok_or_else(|| no(expr))? {
        Member::Text => Said::new(text, Sort::Text),
        // an index is for statements as people write them
        _ if !scope.exact => Said::new(text, Sort::Text),
        Member::Whole => Said::new(only("number", format!("{text}::numeric::bigint")), Sort::Whole),
        Member::Number(real) => {
            let sql = only("number", format!("{text}::double precision"));
            Said { real, ..Said::new(sql, Sort::Number) }
        }
        Member::Truth => Said::new(only("boolean", format!("{text}::boolean")), Sort::Bool),
        Member::Other => return Err(no(expr)),
    })
}

/// How many members an array has.
pub(super) fn count(expr: &Expr, args: &[Expr], scope: Scope) -> Outcome {
    let part = match args {
        [document] => said(document, scope)?,
        [document, path] => {
            let part = said(document, scope)?;
            let path = way(path).ok_or_else(|| no(expr))?;
            let sql = path.member(&document_of(&part).ok_or_else(|| no(expr))?);
            Said { sql, sort: Sort::Json, ..part }
        }
        _ => return Err(no(expr)),
    };
    let sql = document_of(&part).ok_or_else(|| no(expr))?;
    // what is no array has none
    let counted = format!(
        "(case when jsonb_typeof({sql}) = 'array' then jsonb_array_length({sql}) when {sql} is not null then 0 end)"
    );
    Ok(Said { narrow: true, ..Said::new(counted, Sort::Whole) })
}

#[cfg(test)]
mod tests {
    use super::{Path, named};

    #[test]
    fn ways_are_read_in_all_their_forms() {
        for (written, normal) in [
            ("$.a", Some("$.\"a\"")),
            ("$.a.b[0]", Some("$.\"a\".\"b\"[0]")),
            ("$.\"a.b\"[#-1].c", Some("$.\"a.b\"[#-1].\"c\"")),
            ("$[2]", Some("$[2]")),
            ("$", None),
            ("a", None),
            ("$.", None),
            ("$[#]", None),
            ("$[x]", None),
            ("$.a[", None),
        ] {
            assert_eq!(Path::read(written).map(|path| path.written()).as_deref(), normal, "{written}");
        }
        let said = |way: &str| Path::read(way).map(|path| path.text("\"data\"")).unwrap_or_default();
        assert_eq!(said("$.a.\"it's\""), "(\"data\" -> 'a' ->> 'it''s')");
        let query = "jsonb_path_query_first(\"data\", 'strict $.\"a\".\"it''s\"[last - 1]', '{}', true)";
        assert_eq!(said("$.a.\"it's\"[#-2]"), format!("({query} #>> '{{}}')"));
    }

    #[test]
    fn a_statement_tells_which_ways_it_goes() {
        let paths = |sql: &str| named(sql).iter().map(Path::written).collect::<Vec<_>>();
        assert_eq!(
            paths(
                "select json_extract(d, '$.a'), d->>'b', d ->> '$.c[0]', d -> 'e' ->> 2, x > '$' from t where a > 5 and b = 'it''s'"
            ),
            ["$.\"a\"", "$.\"b\"", "$.\"c\"[0]", "$.\"e\"", "$.\"e\"[2]"]
        );
        assert!(paths("select '").is_empty() && paths("->>").is_empty() && paths("->> '").is_empty());
    }
}
