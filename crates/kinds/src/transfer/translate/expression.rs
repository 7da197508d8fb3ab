//! SQLite's expressions in PostgreSQL's words: only where both mean the same for every value, else the reason why not.
//!
//! SQLite knows no types while it computes, PostgreSQL knows little else, so every part carries what it is. Defaults are in
//! `defaults`, functions in `functions`.

use super::super::choose::Type;
use super::columns::Known;
use super::grammar::{self, unquoted};
use super::members::{self, Document};
use super::sides::{alike, cast, equal, sides};
use super::{functions, patterns};
use sqlite3_parser::ast::{Expr, Literal, Operator, UnaryOperator};
use std::fmt::Write;
use std::panic::RefUnwindSafe;

/// What a part of an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A truth value.
    Bool,
    /// A whole number.
    Whole,
    /// Another number.
    Number,
    /// A text.
    Text,
    /// Bytes.
    Bytes,
    /// A moment.
    Moment,
    /// A day.
    Day,
    /// A time of the day.
    Clock,
    /// A uuid.
    Uuid,
    /// A JSON document.
    Json,
    /// Values of several kinds, or other ones than the source holds: nothing but whether they are there is certain.
    Mixed,
    /// NULL.
    Null,
}

impl From<Type> for Sort {
    fn from(typ: Type) -> Self {
        match typ {
            Type::Boolean => Sort::Bool,
            Type::Smallint | Type::Integer | Type::Bigint => Sort::Whole,
            Type::Double | Type::Numeric(_) => Sort::Number,
            Type::Text | Type::Varchar(_) => Sort::Text,
            Type::Bytea => Sort::Bytes,
            Type::Uuid => Sort::Uuid,
            Type::Timestamptz => Sort::Moment,
            Type::Date => Sort::Day,
            Type::Time => Sort::Clock,
            Type::Json | Type::Jsonb => Sort::Json,
        }
    }
}

/// A translated part.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// In PostgreSQL's words.
    pub sql: String,
    /// What it is.
    pub sort: Sort,
    /// A literal: its value as it was written, without quotes.
    pub literal: Option<String>,
    /// Upper and lower case of the letters a to z are the same in comparisons.
    pub nocase: bool,
    /// What says so: nothing, a column, or `collate`. The stronger side decides, then the left one.
    pub collated: u8,
    /// It is a column of declared type, or a cast: a text beside it is read as such a value.
    pub affine: bool,
    /// A number that SQLite never holds as a whole one, so that it divides as such.
    pub real: bool,
    /// A whole number of less than 64 bits.
    pub narrow: bool,
    /// A moment that was written as a day alone, which is less than every text of that day.
    pub day: bool,
    /// A uuid that was made of something else: what order that had is not its order.
    pub made: bool,
    /// What says something else, such as a text that is a time: the same as that.
    pub also: Vec<(Sort, String)>,
    /// A moment that SQLite holds as a text of another zone.
    pub local: bool,
    /// What it is a document of, where its members can be read.
    pub document: Option<Document>,
}

impl Said {
    pub(super) fn new(sql: impl Into<String>, sort: Sort) -> Self {
        Self {
            sql: sql.into(),
            sort,
            literal: None,
            nocase: false,
            collated: 0,
            affine: false,
            real: false,
            narrow: false,
            day: false,
            made: false,
            also: Vec::new(),
            local: false,
            document: None,
        }
    }

    pub(super) fn literal(sql: String, sort: Sort, value: &str) -> Self {
        Self { literal: Some(value.to_owned()), ..Self::new(sql, sort) }
    }

    /// As what it says.
    pub(super) fn meaning(&self, sort: Sort) -> Option<Said> {
        let also = self.also.iter().find(|(known, _)| *known == sort);
        let is_day = sort == Sort::Moment && self.also.iter().any(|(known, _)| *known == Sort::Day);
        also.map(|(sort, sql)| Said { day: is_day, ..Said::new(sql, *sort) })
    }

    /// Whether it says something of another sort.
    pub fn says(&self, sort: Sort) -> bool {
        self.meaning(sort).is_some()
    }

    /// As a side of a comparison or a test, which do not chain.
    pub(super) fn side(self) -> Said {
        match self.sort == Sort::Bool && self.sql.contains(' ') {
            true => Said { sql: format!("({})", self.sql), ..self },
            false => self,
        }
    }
}

/// A query in which an expression stands: what only there means something, such as columns of several tables.
pub trait Within: RefUnwindSafe {
    /// What it makes of a part; none where that is the same everywhere.
    fn own(&self, expr: &Expr) -> Option<Outcome>;

    /// The zone of the application's clock, where it is known.
    fn zone(&self) -> Option<&str>;
}

/// Where an expression stands.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The columns of its table.
    pub columns: &'a [Known],
    /// Other letters than a to z must not be folded, because rows would be refused that are there; else the index should be one
    /// that statements as people write them can use.
    pub exact: bool,
    /// The query in which it stands; none in what belongs to a table.
    pub within: Option<&'a dyn Within>,
    /// It decides which rows there may be.
    rule: bool,
    /// A NULL that stands here may break that rule.
    pub(super) null_breaks: bool,
}

impl<'a> Scope<'a> {
    /// In what belongs to a table.
    pub fn of(columns: &'a [Known], exact: bool) -> Self {
        Self { columns, exact, within: None, rule: false, null_breaks: false }
    }

    /// In what decides which rows a table may have.
    pub fn rule(columns: &'a [Known]) -> Self {
        Self { rule: true, ..Self::of(columns, true) }
    }

    /// Where NULL is not passed on, as it is by operators: NULL breaks no rule.
    pub(super) fn inside(self) -> Self {
        Self { null_breaks: self.rule, ..self }
    }

    /// In a query.
    pub fn within(query: &'a dyn Within) -> Self {
        Self { within: Some(query), ..Self::of(&[], true) }
    }
}

/// A part, or why it has no counterpart.
pub type Outcome = Result<Said, String>;

/// A condition.
pub fn condition(text: &str, scope: Scope) -> Result<String, String> {
    on(text, |expr| judged(expr, scope))
}

/// A value.
pub fn value(text: &str, scope: Scope) -> Outcome {
    on(text, |expr| said(expr, scope))
}

/// A part of an index that statements as people write them can use.
pub fn indexed(text: &str, scope: Scope) -> Outcome {
    on(text, |expr| members::any(expr, scope).map_or_else(|| said(expr, scope), Ok))
}

pub(super) fn on<T>(
    text: &str,
    read: impl Fn(&Expr) -> Result<T, String> + RefUnwindSafe,
) -> Result<T, String> {
    grammar::expression(text, read).unwrap_or_else(|| Err(format!("`{text}` cannot be read")))
}

pub(super) fn no(expr: &(impl std::fmt::Display + ?Sized)) -> String {
    format!("`{expr}` has no counterpart that is certain to mean the same")
}

/// As a condition.
pub(super) fn judged(expr: &Expr, scope: Scope) -> Result<String, String> {
    let part = said(expr, scope)?;
    match part.sort {
        Sort::Bool => Ok(part.sql),
        Sort::Whole | Sort::Number => Ok(format!("{} <> 0", part.sql)),
        Sort::Null => Ok("null::boolean".to_owned()),
        _ => Err(no(expr)),
    }
}

/// As a number.
pub(super) fn number(expr: &Expr, scope: Scope) -> Outcome {
    let part = said(expr, scope)?;
    match part.sort {
        Sort::Whole | Sort::Number => Ok(part),
        Sort::Bool => Ok(Said { narrow: true, ..Said::new(format!("({})::int", part.sql), Sort::Whole) }),
        // the same number, where it is written as a text
        Sort::Moment | Sort::Text => part.meaning(Sort::Whole).ok_or_else(|| no(expr)),
        _ => Err(no(expr)),
    }
}

/// As a text.
pub(super) fn text(expr: &Expr, scope: Scope) -> Outcome {
    let part = said(expr, scope)?;
    match part.sort {
        Sort::Text => Ok(part),
        Sort::Whole => Ok(Said::new(format!("({})::text", part.sql), Sort::Text)),
        _ => Err(no(expr)),
    }
}

/// A text as a literal.
pub fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Any part.
pub(super) fn said(expr: &Expr, scope: Scope) -> Outcome {
    if let Some(own) = scope.within.and_then(|query| query.own(expr)) {
        return own;
    }
    match expr {
        Expr::Literal(literal) => of_literal(literal).ok_or_else(|| no(expr)),
        Expr::Id(id) => named(id.0, scope).ok_or_else(|| no(expr)),
        Expr::Name(name) => named(name.0, scope).ok_or_else(|| no(expr)),
        Expr::Qualified(_, name) | Expr::DoublyQualified(_, _, name) => {
            named(name.0, scope).ok_or_else(|| no(expr))
        }
        Expr::Parenthesized(inner) => match inner.as_slice() {
            [one] => {
                let part = said(one, scope)?;
                let sql = if part.literal.is_some() { part.sql } else { format!("({})", part.sql) };
                Ok(Said { sql, ..part })
            }
            _ => Err(no(expr)),
        },
        Expr::Unary(operator, inner) => unary(expr, operator, inner, scope),
        Expr::Binary(left, operator, right) => binary(expr, left, operator, right, scope),
        Expr::IsNull(inner) => Ok(Said::new(format!("{} is null", there(inner, scope)?.sql), Sort::Bool)),
        Expr::NotNull(inner) => {
            Ok(Said::new(format!("{} is not null", there(inner, scope)?.sql), Sort::Bool))
        }
        Expr::Between { lhs, not, start, end } => {
            let left = said(lhs, scope)?;
            let low = sides(expr, left.clone(), ">=", said(start, scope)?)?;
            let high = sides(expr, left, "<=", said(end, scope)?)?;
            let not = if *not { "not " } else { "" };
            let sql = match low.0 == high.0 && high.1 == "<=" {
                true => format!("{} {not}between {} and {}", low.0, low.2, high.2),
                // in one form beside the one, in another beside the other
                false => {
                    let [low, high] = [low, high].map(|(left, word, right)| format!("{left} {word} {right}"));
                    format!("{not}({low} and {high})")
                }
            };
            Ok(Said::new(sql, Sort::Bool))
        }
        Expr::InList { lhs, not, rhs } => {
            let left = said(lhs, scope)?;
            let mut items = Vec::new();
            let mut shown: Option<String> = None;
            for item in rhs.iter().flat_map(|list| list.iter()) {
                let (left, right) = equal(expr, left.clone(), said(item, scope)?)?;
                // one side in two forms: some of the items are of another sort
                if shown.replace(left.sql.clone()).is_some_and(|before| before != left.sql) {
                    return Err(no(expr));
                }
                items.push(right.sql);
            }
            if items.is_empty() {
                return Ok(Said::new(if *not { "true" } else { "false" }, Sort::Bool));
            }
            let not = if *not { "not " } else { "" };
            let shown = shown.unwrap_or(left.sql);
            Ok(Said::new(format!("{shown} {not}in ({})", items.join(", ")), Sort::Bool))
        }
        Expr::Like { lhs, not, op, rhs, escape } => {
            patterns::like(expr, (lhs, *not, op), rhs, *escape, scope)
        }
        Expr::Case { base, when_then_pairs, else_expr } => {
            let scope = scope.inside();
            let mut conditions = Vec::new();
            let mut results = Vec::new();
            for (when, then) in *when_then_pairs {
                conditions.push(match base {
                    Some(base) => {
                        let (left, right) = equal(expr, said(base, scope)?, said(when, scope)?)?;
                        format!("{} = {}", left.sql, right.sql)
                    }
                    None => judged(when, scope)?,
                });
                results.push(said(then, scope)?);
            }
            if let Some(other) = else_expr {
                results.push(said(other, scope)?);
            }
            let (mut results, one) = alike(expr, results)?;
            let other = if results.len() > conditions.len() { results.pop() } else { None };
            let mut sql = "case".to_owned();
            for (when, then) in conditions.iter().zip(&results) {
                let _ = write!(sql, " when {when} then {then}");
            }
            if let Some(other) = other {
                let _ = write!(sql, " else {other}");
            }
            Ok(Said { sql: format!("{sql} end"), ..one })
        }
        Expr::Cast { expr: inner, type_name: Some(named) } => cast(expr, said(inner, scope)?, named),
        Expr::Collate(inner, collation) => {
            let part = said(inner, scope)?;
            match collation.to_ascii_lowercase().as_str() {
                "nocase" if part.sort == Sort::Text => Ok(Said { nocase: true, collated: 2, ..part }),
                "binary" => Ok(Said { nocase: false, collated: 2, ..part }),
                _ => Err(no(expr)),
            }
        }
        Expr::FunctionCall { name, distinctness: None, args, order_by: None, filter_over: None } => {
            functions::call(expr, &name.0.to_ascii_lowercase(), args.unwrap_or_default(), scope)
        }
        _ => Err(no(expr)),
    }
}

/// What is asked only whether it is there.
fn there(expr: &Expr, scope: Scope) -> Outcome {
    let part = members::any(expr, scope).map_or_else(|| said(expr, scope), Ok)?;
    Ok(part.side())
}

fn of_literal(literal: &Literal) -> Option<Said> {
    match literal {
        Literal::Numeric(digits) => {
            let digits = digits.replace('_', "");
            let whole = digits.parse::<i64>().is_ok();
            let plain = whole || digits.parse::<f64>().is_ok_and(f64::is_finite);
            let sort = if whole { Sort::Whole } else { Sort::Number };
            let narrow = digits.parse::<i32>().is_ok();
            plain.then(|| Said { real: !whole, narrow, ..Said::literal(digits.clone(), sort, &digits) })
        }
        Literal::String(written) => {
            let value = unquoted(written);
            (!value.contains('\0')).then(|| Said::literal(string(&value), Sort::Text, &value))
        }
        Literal::Blob(hex) => {
            let digits = hex.trim_start_matches(['x', 'X']).trim_matches('\'');
            Some(Said::new(format!("'\\x{}'::bytea", digits.to_ascii_lowercase()), Sort::Bytes))
        }
        Literal::Null => Some(Said::new("null", Sort::Null)),
        _ => None,
    }
}

fn named(written: &str, scope: Scope) -> Option<Said> {
    let name = unquoted(written);
    let known = scope.columns.iter().find(|known| known.name.eq_ignore_ascii_case(&name));
    if let Some(known) = known {
        return (!known.gone).then(|| known.said(None));
    }
    match name.to_ascii_lowercase().as_str() {
        word @ ("true" | "false") => Some(Said::new(word, Sort::Bool)),
        // SQLite takes a name in double quotes that nothing has for a text
        _ if written.starts_with('"') => Some(Said::literal(string(&name), Sort::Text, &name)),
        _ => None,
    }
}

fn unary(expr: &Expr, operator: &UnaryOperator, inner: &Expr, scope: Scope) -> Outcome {
    match operator {
        UnaryOperator::Not => Ok(Said::new(format!("not ({})", judged(inner, scope)?), Sort::Bool)),
        UnaryOperator::Negative => {
            let part = number(inner, scope)?;
            let literal = part.literal.map(|digits| format!("-{digits}"));
            // two of them would begin a comment
            let sql =
                if part.sql.starts_with('-') { format!("-({})", part.sql) } else { format!("-{}", part.sql) };
            Ok(Said { sql, literal, affine: false, ..part })
        }
        UnaryOperator::Positive => Ok(Said { affine: false, ..said(inner, scope)? }),
        UnaryOperator::BitwiseNot => Err(no(expr)),
    }
}

fn binary(expr: &Expr, left: &Expr, operator: &Operator, right: &Expr, scope: Scope) -> Outcome {
    let joined = |word: &str| {
        let (left, right) = (judged(left, scope)?, judged(right, scope)?);
        // `and` binds tighter, so an `or` below it needs brackets
        Ok(Said::new(format!("({left}) {word} ({right})"), Sort::Bool))
    };
    let compares = |word: &str| {
        let (left, right) = equal(expr, said(left, scope)?, said(right, scope)?)?;
        Ok(Said::new(format!("{} {word} {}", left.sql, right.sql), Sort::Bool))
    };
    let orders = |word: &'static str| {
        let (left, word, right) = sides(expr, said(left, scope)?, word, said(right, scope)?)?;
        Ok(Said::new(format!("{left} {word} {right}"), Sort::Bool))
    };
    let counts = |word: &str| {
        let (mut left, mut right) = (number(left, scope)?, number(right, scope)?);
        let sort = match (left.sort, right.sort) {
            (Sort::Whole, Sort::Whole) => Sort::Whole,
            _ => Sort::Number,
        };
        let real = left.real || right.real;
        if matches!(word, "+" | "-" | "*") {
            // SQLite counts in 64 bits, and with floats where one of them is no whole number
            let wide = match sort {
                Sort::Whole if left.narrow && right.narrow => "::bigint",
                Sort::Whole => "",
                _ => "::double precision",
            };
            let side = if left.literal.is_some() && right.literal.is_none() { &mut right } else { &mut left };
            side.sql.push_str(wide);
        }
        // SQLite divides by zero and gets NULL
        let is_zero = |digits: &str| digits.parse::<f64>().is_ok_and(|number| number == 0.0);
        let right = match word {
            "/" | "%" if right.literal.as_deref().is_none_or(is_zero) => format!("nullif({}, 0)", right.sql),
            _ => right.sql,
        };
        if matches!(word, "/" | "%") && sort != Sort::Whole {
            // SQLite keeps whole numbers apart in a column of decimals, and divides them as such
            if word == "%" || !real {
                return Err(no(expr));
            }
            let sql = format!("({}::double precision / {right})", left.sql);
            return Ok(Said { real, ..Said::new(sql, sort) });
        }
        Ok(Said { real, ..Said::new(format!("({} {word} {right})", left.sql), sort) })
    };
    match operator {
        Operator::And => joined("and"),
        Operator::Or => joined("or"),
        Operator::Equals => compares("="),
        Operator::NotEquals => compares("<>"),
        Operator::Less => orders("<"),
        Operator::LessEquals => orders("<="),
        Operator::Greater => orders(">"),
        Operator::GreaterEquals => orders(">="),
        Operator::Is | Operator::IsNot => {
            let (not, inside) = (matches!(operator, Operator::IsNot), scope.inside());
            let is_word = matches!(right, Expr::Id(_) | Expr::Name(_));
            let right = said(right, inside)?;
            if right.sort == Sort::Null {
                let word = if not { "is not null" } else { "is null" };
                return Ok(Said::new(format!("{} {word}", there(left, scope)?.sql), Sort::Bool));
            }
            if is_word && matches!(right.sql.as_str(), "true" | "false") {
                let word = if not { "is not" } else { "is" };
                return Ok(Said::new(
                    format!("({}) {word} {}", judged(left, inside)?, right.sql),
                    Sort::Bool,
                ));
            }
            let (left, right) = equal(expr, said(left, inside)?, right)?;
            let word = if not { "is distinct from" } else { "is not distinct from" };
            Ok(Said::new(format!("{} {word} {}", left.sql, right.sql), Sort::Bool))
        }
        Operator::Add => counts("+"),
        Operator::Subtract => counts("-"),
        Operator::Multiply => counts("*"),
        Operator::Divide => counts("/"),
        Operator::Modulus => counts("%"),
        Operator::BitwiseAnd => counts("&").and_then(|part| whole(expr, part)),
        Operator::BitwiseOr => counts("|").and_then(|part| whole(expr, part)),
        Operator::Concat => {
            let (left, right) = (text(left, scope)?, text(right, scope)?);
            Ok(Said::new(format!("({} || {})", left.sql, right.sql), Sort::Text))
        }
        Operator::ArrowRight => members::arrow(expr, left, right, scope),
        Operator::ArrowRightShift => members::arrow_text(expr, left, right, scope),
        _ => Err(no(expr)),
    }
}

fn whole(expr: &Expr, part: Said) -> Outcome {
    if part.sort == Sort::Whole { Ok(part) } else { Err(no(expr)) }
}

#[cfg(test)]
mod tests {
    use super::{Known, Scope, Sort, condition, value};

    fn columns() -> Vec<Known> {
        let known = |name: &str, sort, nocase| Known {
            nocase,
            affine: true,
            ..Known::bare(name.to_owned(), name.to_owned(), sort)
        };
        vec![
            known("n", Sort::Whole, false),
            known("s", Sort::Text, false),
            known("e", Sort::Text, true),
            known("b", Sort::Bool, false),
            known("d", Sort::Day, false),
            known("at", Sort::Moment, false),
            known("t", Sort::Clock, false),
            known("x", Sort::Number, false),
            known("j", Sort::Json, false),
        ]
    }

    fn translated(text: &str) -> Result<String, String> {
        condition(text, Scope::of(&columns(), true))
    }

    #[test]
    fn conditions_mean_the_same() {
        for (sqlite, postgres) in [
            ("n >= 0", "\"n\" >= 0"),
            ("length(s) < 10", "length(\"s\") < 10"),
            ("n < 200 or s is null", "(\"n\" < 200) or (\"s\" is null)"),
            ("b in (0, 1)", "\"b\" in (false, true)"),
            ("b = 1 and not n", "(\"b\" = true) and (not (\"n\" <> 0))"),
            ("s in ('a', 'it''s')", "\"s\" in ('a', 'it''s')"),
            ("e = 'AbC'", "lower(\"e\" collate \"C\") = 'abc'"),
            ("s like 'A%'", "lower(\"s\" collate \"C\") like 'a%' escape ''"),
            ("s glob '[0-9]*.x'", "\"s\" ~ '^[0-9].*\\.x$'"),
            ("d > '2024-01-01'", "\"d\" > date '2024-01-01'"),
            ("n between 1 and 5", "\"n\" between 1 and 5"),
            ("n / s is null", "`n / s` "),
            ("n / 2 > 1", "(\"n\" / 2) > 1"),
            ("x / 2 > 1", "`x / 2`"),
            ("s > 'Z'", "\"s\" collate \"C\" > 'Z'"),
            ("s between 'a' and 'z'", "\"s\" collate \"C\" between 'a' and 'z'"),
            ("'Z' < s", "'Z' collate \"C\" < \"s\""),
            ("e < 'Z'", "lower(\"e\" collate \"C\") collate \"C\" < 'z'"),
            ("t >= '08:00'", "\"t\" >= time '08:00'"),
            ("typeof(n) = 'integer'", "(case when \"n\" is null then 'null' else 'integer' end) = 'integer'"),
            ("s = 5", "\"s\" = '5'"),
            (
                "(n is null) + (s is null) = 1",
                "(((\"n\" is null))::int::bigint + ((\"s\" is null))::int) = 1",
            ),
        ] {
            match translated(sqlite) {
                Ok(said) => assert_eq!(said, postgres, "{sqlite}"),
                Err(why) => assert!(postgres.starts_with('`'), "{sqlite}: {why}"),
            }
        }
    }

    #[test]
    fn what_is_not_certain_is_refused() {
        for text in
            ["j = 'x'", "json_extract(j, '$.x') = 1", "s regexp 'a'", "strftime('%s', at) > 5", "n = 'N/A'"]
        {
            assert!(translated(text).is_err(), "{text}");
        }
    }

    #[test]
    fn letters_are_folded_as_the_place_asks() {
        let columns = columns();
        let said = |exact| value("lower(s)", Scope::of(&columns, exact)).unwrap().sql;
        assert_eq!(said(true), "lower(\"s\" collate \"C\")");
        assert_eq!(said(false), "lower(\"s\")");
    }
}
