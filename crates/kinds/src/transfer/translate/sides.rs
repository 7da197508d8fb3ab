//! Parts beside one another: compared, standing for one another, or turned into another sort, as SQLite would.

use super::super::profile::{is_decimal, truth, uuid};
use super::super::types::dated;
use super::expression::{Outcome, Said, Sort, no, string};
use sqlite3_parser::ast::{Expr, Type as Named};
use targets::db::civil;

/// Both sides of `=` and the like.
pub(super) fn equal(expr: &dyn std::fmt::Display, left: Said, right: Said) -> Result<(Said, Said), String> {
    let words = (word_beside(&left, &right), word_beside(&right, &left));
    let (left, right) = (words.0.unwrap_or(left), words.1.unwrap_or(right));
    let (left, right) = compared(expr, left, right)?;
    // a day alone is no text of a moment, and so equal to none
    match left.sort == Sort::Moment && left.day != right.day {
        true => Err(no(expr)),
        false => Ok((left, right)),
    }
}

/// Something of any kind beside a word that is no JSON: as a text it is equal to the word only where it is that text.
fn word_beside(part: &Said, word: &Said) -> Option<Said> {
    let written = word.literal.as_deref().filter(|_| part.sort == Sort::Mixed && word.sort == Sort::Text)?;
    let is_word = serde_json::from_str::<serde::de::IgnoredAny>(written).is_err();
    part.meaning(Sort::Text).filter(|_| is_word)
}

/// Both sides of `<` and the like, and the word between them. A day alone is less than every text of that day.
pub(super) fn sides(
    expr: &dyn std::fmt::Display,
    left: Said,
    word: &'static str,
    right: Said,
) -> Result<(String, &'static str, String), String> {
    let (left, right) = compared(expr, left, right)?;
    if left.made || right.made {
        return Err(no(expr));
    }
    let word = match (left.sort, left.day, right.day, word) {
        (Sort::Moment, false, true, ">") => ">=",
        (Sort::Moment, false, true, "<=") => "<",
        (Sort::Moment, true, false, "<") => "<=",
        (Sort::Moment, true, false, ">=") => ">",
        _ => word,
    };
    Ok((ordered(left).sql, word, right.sql))
}

/// Both sides of a comparison in forms that PostgreSQL compares as SQLite does.
pub(super) fn compared(
    expr: &dyn std::fmt::Display,
    left: Said,
    right: Said,
) -> Result<(Said, Said), String> {
    use Sort::{Bool, Clock, Day, Mixed, Moment, Null, Number, Text, Uuid, Whole};
    let decides = if right.collated > left.collated { &right } else { &left };
    let folded = decides.nocase;
    // what a clock of another zone showed is another moment than the same text in UTC
    let is_elsewhere = |one: &Said, other: &Said| {
        one.sort == Text && one.local != other.local && matches!(other.sort, Moment | Day)
            || one.local && one.sort == Moment && other.sort == Text && other.meaning(Moment).is_none()
    };
    let is_elsewhere = is_elsewhere(&left, &right) || is_elsewhere(&right, &left);
    if is_elsewhere || [left.sort, right.sort].contains(&Mixed) && left.sort != Null && right.sort != Null {
        return Err(no(expr));
    }
    // two clocks, or a number beside a text, which is less than every text
    let is_count = |part: &Said| part.sort == Moment && part.meaning(Whole).is_some();
    if left.sort == Moment && right.sort == Moment && left.local != right.local {
        return Err(no(expr));
    }
    let (left, right) = match (is_count(&left), left.sort, is_count(&right), right.sort) {
        (true, _, _, Text) => (left, right.meaning(Whole).ok_or_else(|| no(expr))?),
        (_, Text, true, _) => (left.meaning(Whole).ok_or_else(|| no(expr))?, right),
        _ => (left, right),
    };
    let (left, right) = (left.side(), right.side());
    let (left, right) = match (left.sort, right.sort) {
        (a, b) if a == b => (left, right),
        (Whole | Number, Whole | Number) | (_, Null) | (Null, _) => (left, right),
        // counted in SQLite, and compared so
        (Moment, Whole | Number) => (left.meaning(Whole).ok_or_else(|| no(expr))?, right),
        (Whole | Number, Moment) => {
            let right = right.meaning(Whole).ok_or_else(|| no(expr))?;
            (left, right)
        }
        (Bool, Whole) => flag(left, right),
        (Whole, Bool) => {
            let (right, left) = flag(right, left);
            (left, right)
        }
        // a text is read as a number only where a column or a cast says so
        (Whole | Number, Text) if !left.affine => return Err(no(expr)),
        (Text, Whole | Number) if right.affine && left.literal.is_none() && left.meaning(Whole).is_none() => {
            let left = numeral(&left).ok_or_else(|| no(expr))?;
            (left, right)
        }
        (Text, Whole | Number) if !left.affine => return Err(no(expr)),
        (Whole | Number, Text) if right.literal.is_none() && right.meaning(Whole).is_none() => {
            let right = numeral(&right).ok_or_else(|| no(expr))?;
            (left, right)
        }
        (typed @ (Whole | Number | Moment | Day | Clock | Uuid), Text) => {
            let right = read_as(&right, typed).ok_or_else(|| no(expr))?;
            (left, right)
        }
        (Text, typed @ (Whole | Number)) if right.literal.is_some() && !right.affine => {
            // a number beside a column of texts is compared as a text
            let written = right.literal.clone().filter(|_| typed == Whole).ok_or_else(|| no(expr))?;
            (left, Said::literal(string(&written), Text, &written))
        }
        (Text, typed @ (Moment | Day | Clock | Uuid)) => {
            let left = read_as(&left, typed).ok_or_else(|| no(expr))?;
            (left, right)
        }
        _ => return Err(no(expr)),
    };
    if matches!(left.sort, Sort::Json) {
        return Err(no(expr));
    }
    if folded && left.sort == Text && right.sort == Text {
        return Ok((lowered(left), lowered(right)));
    }
    Ok((left, right))
}

/// A text beside a number that its column says: as the number that it is, or as what is more than every number, where it is none.
fn numeral(part: &Said) -> Option<Said> {
    // written three times
    if part.sql.len() > 3_000 {
        return None;
    }
    let sql = &part.sql;
    let blank = r"[ \t\n\v\f\r]*";
    let form = format!(r"^{blank}[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{{1,3}})?{blank}$");
    let sql = format!(
        "(case when {sql} ~ '{form}' then ({sql})::numeric when {sql} is not null then 'NaN'::numeric end)"
    );
    Some(Said::new(sql, Sort::Number))
}

/// What is less than the other side of a comparison or greater: texts go by their bytes, whatever the language of the database.
pub(super) fn ordered(part: Said) -> Said {
    match part.sort {
        Sort::Text => Said { sql: format!("{} collate \"C\"", part.sql), ..part },
        _ => part,
    }
}

/// A truth value beside a number.
fn flag(flag: Said, number: Said) -> (Said, Said) {
    match number.literal.as_deref() {
        Some("0") => (flag, Said::new("false", Sort::Bool)),
        Some("1") => (flag, Said::new("true", Sort::Bool)),
        _ => (Said::new(format!("({})::int", flag.sql), Sort::Whole), number),
    }
}

/// A text where a value of another sort stands: a literal, or one that says such a value.
pub(super) fn read_as(part: &Said, sort: Sort) -> Option<Said> {
    if let Some(meaning) = part.meaning(sort) {
        return Some(meaning);
    }
    let written = part.literal.as_deref()?;
    match sort {
        Sort::Whole => {
            written.parse::<i64>().ok().map(|n| Said::literal(n.to_string(), Sort::Whole, written))
        }
        Sort::Number => is_decimal(written).then(|| Said::literal(written.to_owned(), Sort::Number, written)),
        Sort::Uuid => uuid(written).map(|_| Said::new(format!("{}::uuid", string(written)), Sort::Uuid)),
        Sort::Day => civil::read(written.as_bytes())
            .filter(|told| told.day)
            .map(|_| Said::new(format!("date {}", string(written)), Sort::Day)),
        Sort::Clock => super::super::convert::clock(written)
            .map(|_| Said::new(format!("time {}", string(written)), Sort::Clock)),
        Sort::Moment => civil::read(written.as_bytes()).filter(|told| !told.cut).map(|told| Said {
            day: told.day,
            ..Said::new(format!("timestamptz '{}'", dated(civil::moment(told.micros))), Sort::Moment)
        }),
        Sort::Bool => truth(written).map(|flag| Said::new(flag.to_string(), Sort::Bool)),
        _ => None,
    }
}

/// Parts that stand for one another, such as the results of a `case`, in one sort; and that sort, as a part without words.
pub(super) fn alike(expr: &dyn std::fmt::Display, parts: Vec<Said>) -> Result<(Vec<String>, Said), String> {
    use Sort::{Bool, Clock, Day, Moment, Null, Number, Text, Uuid, Whole};
    let sorts: Vec<Sort> = parts.iter().map(|part| part.sort).filter(|sort| *sort != Null).collect();
    let one = match sorts.iter().find(|sort| **sort != Text).or(sorts.first()) {
        None => Null,
        Some(sort) if sorts.iter().all(|other| other == sort) => *sort,
        Some(_) if sorts.iter().all(|sort| matches!(sort, Bool | Whole)) => Whole,
        Some(_) if sorts.iter().all(|sort| matches!(sort, Bool | Whole | Number)) => Number,
        // texts that say such a value
        Some(sort) => *sort,
    };
    let whole = Said {
        local: parts.iter().any(|part| part.local),
        narrow: parts.iter().any(|part| part.narrow || part.sort == Bool),
        real: parts.iter().all(|part| part.real || part.sort == Null),
        ..Said::new("", one)
    };
    let each = parts.into_iter().map(|part| match (part.sort, one) {
        (a, b) if a == b || a == Null => Ok(part.sql),
        (Bool, Whole | Number) => Ok(format!("({})::int", part.sql)),
        (Whole, Number) => Ok(part.sql),
        (Text, sort @ (Moment | Day | Clock | Uuid)) if !whole.local => {
            read_as(&part, sort).map(|read| read.sql).ok_or_else(|| no(expr))
        }
        _ => Err(no(expr)),
    });
    Ok((each.collect::<Result<Vec<String>, String>>()?, whole))
}

/// A value as another sort.
pub(super) fn cast(expr: &Expr, part: Said, named: &Named) -> Outcome {
    use Sort::{Bool, Null, Number, Text, Whole};
    let name = named.name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let to = match () {
        () if has(&["int"]) => Whole,
        () if has(&["char", "clob", "text"]) => Text,
        () if has(&["real", "floa", "doub"]) => Number,
        () => return Err(no(expr)),
    };
    let part = Said { affine: true, ..part };
    let made = |sql: String, sort: Sort| Said { affine: true, ..Said::new(sql, sort) };
    match (part.sort, to) {
        (Null, _) => Ok(part),
        (Whole, Whole) | (Text, Text) => Ok(part),
        (Bool, Whole) => Ok(Said { narrow: true, ..made(format!("({})::int", part.sql), Whole) }),
        (Number, Whole) => Ok(made(format!("trunc({})::bigint", part.sql), Whole)),
        (Text, Whole) => part.meaning(Whole).map(|read| made(read.sql, Whole)).ok_or_else(|| no(expr)),
        (Whole, Text) => Ok(made(format!("({})::text", part.sql), Text)),
        (Bool, Text) => Ok(made(format!("({})::int::text", part.sql), Text)),
        (Whole | Number, Number) => {
            Ok(Said { real: true, ..made(format!("({})::double precision", part.sql), Number) })
        }
        (Bool, Number) => {
            Ok(Said { real: true, ..made(format!("({})::int::double precision", part.sql), Number) })
        }
        _ => Err(no(expr)),
    }
}

/// Folded as NOCASE does: the letters a to z and no others.
pub fn lowered(part: Said) -> Said {
    let sql = match &part.literal {
        Some(written) => string(&written.to_ascii_lowercase()),
        None => format!("lower({} collate \"C\")", part.sql),
    };
    Said { sql, nocase: false, ..part }
}
