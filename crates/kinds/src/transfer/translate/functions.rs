//! SQLite's functions that PostgreSQL has too, under whatever name.

use super::expression::{Outcome, Said, Scope, Sort, judged, no, number, said, text};
use super::members;
use super::sides::alike;
use sqlite3_parser::ast::Expr;

/// What is written several times may be so long.
const LONG: usize = 10_000;

/// A call.
pub(super) fn call(expr: &Expr, name: &str, args: &[Expr], scope: Scope) -> Outcome {
    if let ("json_extract", [document, path]) = (name, args) {
        return members::extract(expr, document, path, scope);
    }
    let scope = scope.inside();
    let texts = |word: &str, sort: Sort| {
        let parts = args.iter().map(|arg| text(arg, scope).map(|part| part.sql));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        Ok(Said::new(format!("{word}({})", parts.join(", ")), sort))
    };
    match (name, args) {
        ("length", [one]) => {
            let part = said(one, scope)?;
            match part.sort {
                Sort::Text | Sort::Bytes => {
                    Ok(Said { narrow: true, ..Said::new(format!("length({})", part.sql), Sort::Whole) })
                }
                Sort::Whole => Ok(Said {
                    narrow: true,
                    ..Said::new(format!("length(({})::text)", part.sql), Sort::Whole)
                }),
                _ => Err(no(expr)),
            }
        }
        ("lower" | "upper", [one]) => {
            let part = text(one, scope)?;
            let collation = if scope.exact { " collate \"C\"" } else { "" };
            Ok(Said::new(format!("{name}({}{collation})", part.sql), Sort::Text))
        }
        ("abs", [one]) => {
            let part = number(one, scope)?;
            Ok(Said { sql: format!("abs({})", part.sql), literal: None, affine: false, ..part })
        }
        // the server rounds decimals as SQLite does, floats to the even neighbour
        ("round", [what, rest @ ..]) if rest.len() <= 1 && scope.within.is_some() => {
            let part = number(what, scope)?;
            let digits = match rest.first().map(|digits| digits.is_integer()) {
                Some(Some(digits)) if digits >= 0 => format!(", {digits}"),
                None => String::new(),
                // fewer than none are none there, and tens here
                Some(_) => return Err(no(expr)),
            };
            let sql = format!("round(({})::numeric{digits})::double precision", part.sql);
            Ok(Said { real: true, ..Said::new(sql, Sort::Number) })
        }
        ("coalesce" | "ifnull", [_, _, ..]) => {
            let parts = args.iter().map(|arg| said(arg, scope)).collect::<Result<Vec<_>, _>>()?;
            let (list, one) = alike(expr, parts)?;
            Ok(Said { sql: format!("coalesce({})", list.join(", ")), ..one })
        }
        ("iif" | "if", [condition, then, rest @ ..]) if rest.len() <= 1 => {
            let condition = judged(condition, scope)?;
            let results = std::iter::once(then).chain(rest).map(|arg| said(arg, scope));
            let (list, one) = alike(expr, results.collect::<Result<Vec<_>, _>>()?)?;
            let other = list.get(1).map_or("null", String::as_str);
            Ok(Said { sql: format!("case when {condition} then {} else {other} end", list[0]), ..one })
        }
        // NULL where one of them is NULL, which the server passes over
        ("min" | "max", [_, _, ..]) => {
            let parts = args.iter().map(|arg| said(arg, scope)).collect::<Result<Vec<_>, _>>()?;
            let is_folded = parts.iter().any(|part| part.nocase);
            let (list, one) = alike(expr, parts)?;
            // each part is written twice
            if list.iter().map(String::len).sum::<usize>() > LONG {
                return Err(no(expr));
            }
            if is_folded
                || !matches!(one.sort, Sort::Whole | Sort::Number | Sort::Moment | Sort::Day | Sort::Text)
            {
                return Err(no(expr));
            }
            let collation = if one.sort == Sort::Text { " collate \"C\"" } else { "" };
            let none: Vec<String> = list.iter().map(|part| format!("{part} is null")).collect();
            let word = if name == "min" { "least" } else { "greatest" };
            let list: Vec<String> = list.iter().map(|part| format!("{part}{collation}")).collect();
            let sql =
                format!("case when {} then null else {word}({}) end", none.join(" or "), list.join(", "));
            Ok(Said { sql, ..one })
        }
        ("nullif", [a, b]) => {
            let (a, b) = (said(a, scope)?, said(b, scope)?);
            let is_plain = !a.nocase && !b.nocase && !matches!(a.sort, Sort::Json | Sort::Mixed);
            let is_number = |part: &Said| matches!(part.sort, Sort::Whole | Sort::Number);
            match (a.sort == b.sort || is_number(&a) && is_number(&b)) && is_plain {
                true => {
                    let sql = format!("nullif({}, {})", a.sql, b.sql);
                    Ok(Said { sql, literal: None, affine: false, collated: 0, also: Vec::new(), ..a })
                }
                false => Err(no(expr)),
            }
        }
        ("trim", [_] | [_, _]) => texts("btrim", Sort::Text),
        ("ltrim" | "rtrim", [_] | [_, _]) => texts(name, Sort::Text),
        ("replace", [_, _, _]) => texts("replace", Sort::Text),
        ("instr", [_, _]) => texts("strpos", Sort::Whole).map(|part| Said { narrow: true, ..part }),
        ("substr" | "substring", [what, from, rest @ ..]) if rest.len() <= 1 => {
            let what = text(what, scope)?;
            let counted = |arg: &Expr, least: i64| {
                let part = number(arg, scope)?;
                let literal = part.literal.as_deref().and_then(|digits| digits.parse::<i64>().ok());
                // counted from the end, or backwards, where the number is below these
                literal.filter(|n| *n >= least).map(|_| part.sql).ok_or_else(|| no(expr))
            };
            let mut list = vec![what.sql, counted(from, 1)?];
            if let [count] = rest {
                list.push(counted(count, 0)?);
            }
            Ok(Said::new(format!("substr({})", list.join(", ")), Sort::Text))
        }
        ("hex", [one]) => {
            let part = said(one, scope)?;
            match part.sort {
                Sort::Bytes => {
                    Ok(Said::new(format!("coalesce(upper(encode({}, 'hex')), '')", part.sql), Sort::Text))
                }
                _ => Err(no(expr)),
            }
        }
        ("typeof", [one]) => {
            let part = said(one, scope)?;
            let class = match part.sort {
                Sort::Whole | Sort::Bool => "integer",
                Sort::Text => "text",
                Sort::Bytes => "blob",
                _ => return Err(no(expr)),
            };
            let sql = format!("(case when {} is null then 'null' else '{class}' end)", part.sql);
            Ok(Said::new(sql, Sort::Text))
        }
        // a column of this type holds nothing else
        ("json_valid", [one]) => {
            let part = said(one, scope)?;
            match part.sort {
                Sort::Json => {
                    Ok(Said::new(format!("(case when {} is not null then true end)", part.sql), Sort::Bool))
                }
                _ => Err(no(expr)),
            }
        }
        ("json_array_length", args) => members::count(expr, args, scope),
        ("likely" | "unlikely", [one]) => said(one, scope),
        _ => Err(no(expr)),
    }
}
