//! Members of JSON documents that the source's own expressions read: `json_extract(data, '$.a')` and `data ->> 'a'`.
//!
//! SQLite gives each member the type that it has in its document, PostgreSQL gives all of one expression one type. So a translation
//! that meets a member notes it; the source is asked what its documents hold there, as it is asked what is in its columns; and the
//! translation is made again.

use super::expression::{Outcome, Said, Scope, Sort, no, said, string};
use super::grammar::unquoted;
use sqlite3_parser::ast::{Expr, Literal, Operator, UnaryOperator};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A step on the way into a document.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    /// Counted from the end where it is negative.
    At(i64),
}

/// The way to a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

/// What all documents hold at the end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// Nothing yet.
    Nothing,
    /// Texts.
    Text,
    /// Whole numbers of 64 bits.
    Whole,
    /// Numbers that are never whole.
    Real,
    /// Numbers that a float holds.
    Number,
    /// Truth values.
    Truth,
    /// Several kinds, documents, or numbers that no type holds.
    Other,
}

/// What is known of the documents of a column, and what should be.
#[derive(Debug, Clone, Default)]
pub struct Members(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    /// Whether all its values are documents that both sides read alike; none where that was not asked.
    documents: Option<bool>,
    found: Vec<(Path, Member)>,
    /// Whether somebody would like to know.
    wanted: bool,
    ways: Vec<Path>,
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Members {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ways that are to be asked; none where nothing is.
    pub fn wanted(&self) -> Option<Vec<Path>> {
        let mut asked = self.asked();
        std::mem::take(&mut asked.wanted).then(|| std::mem::take(&mut asked.ways))
    }

    /// What the source said; none where not all of its values are documents.
    pub fn answer(&self, found: Option<Vec<(Path, Member)>>) {
        let mut asked = self.asked();
        asked.documents = Some(found.is_some());
        asked.found.extend(found.into_iter().flatten());
    }

    fn are_documents(&self) -> Result<(), String> {
        let mut asked = self.asked();
        asked.wanted |= asked.documents.is_none();
        match asked.documents {
            Some(true) => Ok(()),
            _ => Err("it reads texts of which not all are documents that both sides read alike".to_owned()),
        }
    }

    fn at(&self, path: &Path) -> Option<Member> {
        let mut asked = self.asked();
        let found = asked.found.iter().find(|(known, _)| known == path).map(|(_, member)| *member);
        if found.is_none() && !asked.ways.contains(path) {
            asked.wanted = true;
            asked.ways.push(path.clone());
        }
        found
    }
}

/// A document, or a part of one: of which column, and the way to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    members: Members,
    at: Path,
}

impl Document {
    /// Whole documents of a column.
    pub fn of(members: &Members) -> Self {
        Self { members: members.clone(), at: Path::default() }
    }
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
                let (sign, digits) = at.strip_prefix("#-").map_or((1, at), |digits| (-1, digits));
                let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let at = digits.parse::<i64>().ok().filter(|at| is_number && (sign > 0 || *at > 0))?;
                (Step::At(sign * at), after)
            };
            steps.push(step);
            rest = after;
        }
        Self::of(steps)
    }

    /// A way as the arrows take it: a whole one, its end alone, or a key.
    fn of_arrow(text: &str) -> Option<Self> {
        match text {
            text if text.starts_with('$') => Self::read(text),
            text if text.len() > 2 && text.starts_with('[') && text.ends_with(']') => {
                Self::read(&format!("${text}"))
            }
            key => Self::of(vec![Step::Key(key.to_owned())]),
        }
    }

    fn of(steps: Vec<Step>) -> Option<Self> {
        let is_plain = |step: &Step| match step {
            Step::Key(key) => !key.is_empty() && !key.contains(['"', '\\', '\0']),
            Step::At(_) => true,
        };
        (!steps.is_empty() && steps.iter().all(is_plain)).then_some(Self(steps))
    }

    fn behind(&self, first: &Self) -> Self {
        Self(first.0.iter().chain(&self.0).cloned().collect())
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
        self.arrows(document, " -> ").unwrap_or_else(|| self.query(document, ""))
    }

    /// What is at its end, as a text.
    fn text(&self, document: &str) -> String {
        self.arrows(document, " ->> ").unwrap_or_else(|| self.text_where(document, ""))
    }

    /// What is at its end and meets a condition, as a text.
    fn text_where(&self, document: &str, condition: &str) -> String {
        format!("({} #>> '{{}}')", self.query(document, condition))
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
    fn query(&self, document: &str, condition: &str) -> String {
        let step = |step: &Step| match step {
            Step::Key(key) => format!(".\"{key}\""),
            Step::At(at @ 0..) => format!("[{at}]"),
            Step::At(-1) => "[last]".to_owned(),
            Step::At(at) => format!("[last - {}]", -(at + 1)),
        };
        let way = format!("strict ${}{condition}", self.0.iter().map(step).collect::<String>());
        format!("jsonb_path_query_first({document}, {}, '{{}}', true)", string(&way))
    }
}

/// The way that an argument of `json_extract` says.
fn way(path: &Expr) -> Option<Path> {
    match path {
        Expr::Literal(Literal::String(text)) => Path::read(&unquoted(text)),
        _ => None,
    }
}

/// The way behind an arrow.
fn arrow_way(path: &Expr) -> Option<Path> {
    match path {
        Expr::Literal(Literal::String(text)) => Path::of_arrow(&unquoted(text)),
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
    let path = arrow_way(path).ok_or_else(|| no(expr))?;
    let (known, document) = document_of(expr, &part)?;
    let known = Document { members: known.members.clone(), at: path.behind(&known.at) };
    Ok(Said { document: Some(known), ..Said::new(path.member(&document), Sort::Json) })
}

/// A member of whatever kind as a text, where nothing is asked but whether it is there, or for an index as people use it.
pub(super) fn any(expr: &Expr, scope: Scope) -> Option<Said> {
    let (document, path) = match expr {
        Expr::Parenthesized(inner) => match inner.as_slice() {
            [one] => return any(one, scope),
            _ => return None,
        },
        Expr::FunctionCall { name, args: Some([document, path]), .. }
            if name.0.eq_ignore_ascii_case("json_extract") =>
        {
            (document, way(path)?)
        }
        Expr::Binary(document, Operator::ArrowRightShift, path) => (*document, arrow_way(path)?),
        _ => return None,
    };
    let part = said(document, scope).ok()?;
    let (_, document) = document_of(expr, &part).ok()?;
    Some(Said::new(path.text(&document), Sort::Text))
}

/// What a part is a document of, and it as `jsonb`.
fn document_of<'s>(expr: &Expr, part: &'s Said) -> Result<(&'s Document, String), String> {
    let known = part.document.as_ref().ok_or_else(|| no(expr))?;
    known.members.are_documents()?;
    match part.sort {
        Sort::Json => Ok((known, part.sql.clone())),
        Sort::Text => Ok((known, format!("{}::jsonb", part.sql))),
        _ => Err(no(expr)),
    }
}

/// A whole number of 64 bits.
const WHOLE: &str =
    " ? (@.type() == \"number\" && @ == @.floor() && @ >= -9223372036854775808 && @ <= 9223372036854775807)";
/// A number that a float holds, be it not exactly.
const FLOAT: &str =
    " ? (@.type() == \"number\" && @.abs() <= 1.7976931348623157e308 && (@ == 0 || @.abs() >= 1e-307))";
const TRUTH: &str = " ? (@.type() == \"boolean\")";

fn member(expr: &Expr, part: &Said, path: Option<Path>, scope: Scope) -> Outcome {
    let path = path.ok_or_else(|| no(expr))?;
    if scope.null_breaks {
        // what comes later and is of another kind must break no rule
        return Err(format!("`{expr}` may be of another kind in rows that come, and this would refuse them"));
    }
    let (known, document) = document_of(expr, part)?;
    let found = known.members.at(&path.behind(&known.at)).ok_or_else(|| no(expr))?;
    // members of another kind may come: they are none of this one, and no error
    let only = |condition: &str| path.text_where(&document, condition);
    let float = || format!("{}::double precision", only(FLOAT));
    Ok(match found {
        // it can be shown, and be equal to a word
        Member::Nothing => {
            let text = path.text(&document);
            Said { also: vec![(Sort::Text, text.clone())], ..Said::new(text, Sort::Mixed) }
        }
        Member::Text => Said::new(path.text(&document), Sort::Text),
        Member::Whole => Said::new(format!("{}::numeric::bigint", only(WHOLE)), Sort::Whole),
        Member::Real => Said { real: true, ..Said::new(float(), Sort::Number) },
        Member::Number => Said::new(float(), Sort::Number),
        Member::Truth => Said::new(format!("{}::boolean", only(TRUTH)), Sort::Bool),
        Member::Other => return Err(format!("what `{expr}` reads is of several kinds")),
    })
}

/// How many members an array has.
pub(super) fn count(expr: &Expr, args: &[Expr], scope: Scope) -> Outcome {
    let (document, path) = match args {
        [document] => (document, None),
        [document, path] => (document, Some(way(path).ok_or_else(|| no(expr))?)),
        _ => return Err(no(expr)),
    };
    let part = said(document, scope)?;
    let (_, document) = document_of(expr, &part)?;
    let sql = path.map_or_else(|| document.clone(), |path| path.member(&document));
    // what is no array has none
    let counted = format!(
        "(case when jsonb_typeof({sql}) = 'array' then jsonb_array_length({sql}) when {sql} is not null then 0 end)"
    );
    Ok(Said { narrow: true, ..Said::new(counted, Sort::Whole) })
}

#[cfg(test)]
mod tests {
    use super::Path;

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
            ("$[#-0]", None),
            ("$[#1]", None),
            ("$[-1]", None),
            ("$[+1]", None),
            ("$[]", None),
            ("$[x]", None),
            ("$.a[", None),
        ] {
            assert_eq!(Path::read(written).map(|path| path.written()).as_deref(), normal, "{written}");
        }
        for (written, normal) in
            [("a.b", "$.\"a.b\""), ("[1]", "$[1]"), ("[]", "$.\"[]\""), ("$.a", "$.\"a\"")]
        {
            assert_eq!(Path::of_arrow(written).unwrap().written(), normal);
        }
        let said = |way: &str| Path::read(way).map(|path| path.text("\"data\"")).unwrap_or_default();
        assert_eq!(said("$.a.\"it's\""), "(\"data\" -> 'a' ->> 'it''s')");
        let query = "jsonb_path_query_first(\"data\", 'strict $.\"a\".\"it''s\"[last - 1]', '{}', true)";
        assert_eq!(said("$.a.\"it's\"[#-2]"), format!("({query} #>> '{{}}')"));
    }
}
