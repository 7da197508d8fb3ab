//! SQLite's functions that PostgreSQL has too, under whatever name.

use super::expression::{Outcome, Said, Scope, Sort, no, number, said, text};
use sqlite3_parser::ast::Expr;

/// A call.
pub(super) fn call(expr: &Expr, name: &str, args: &[Expr], scope: Scope) -> Outcome {
    let texts = |word: &str, sort: Sort| {
        let parts = args.iter().map(|arg| text(arg, scope).map(|part| part.sql));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        Ok(Said::new(format!("{word}({})", parts.join(", ")), sort))
    };
    match (name, args) {
        ("length", [one]) => {
            let part = said(one, scope)?;
            match part.sort {
                Sort::Text | Sort::Bytes => Ok(Said::new(format!("length({})", part.sql), Sort::Whole)),
                Sort::Whole => Ok(Said::new(format!("length(({})::text)", part.sql), Sort::Whole)),
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
            Ok(Said::new(format!("abs({})", part.sql), part.sort))
        }
        ("coalesce" | "ifnull", [_, _, ..]) => {
            let parts = args.iter().map(|arg| said(arg, scope)).collect::<Result<Vec<_>, _>>()?;
            let sort = parts.iter().map(|part| part.sort).find(|sort| *sort != Sort::Null);
            let sort = sort.ok_or_else(|| no(expr))?;
            if parts.iter().any(|part| part.sort != sort && part.sort != Sort::Null) {
                return Err(no(expr));
            }
            let list: Vec<String> = parts.into_iter().map(|part| part.sql).collect();
            Ok(Said::new(format!("coalesce({})", list.join(", ")), sort))
        }
        ("nullif", [a, b]) => {
            let (a, b) = (said(a, scope)?, said(b, scope)?);
            match a.sort == b.sort && a.sort != Sort::Json {
                true => Ok(Said::new(format!("nullif({}, {})", a.sql, b.sql), a.sort)),
                false => Err(no(expr)),
            }
        }
        ("trim", [_] | [_, _]) => texts("btrim", Sort::Text),
        ("ltrim" | "rtrim", [_] | [_, _]) => texts(name, Sort::Text),
        ("replace", [_, _, _]) => texts("replace", Sort::Text),
        ("instr", [_, _]) => texts("strpos", Sort::Whole),
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
                Sort::Bytes => Ok(Said::new(format!("upper(encode({}, 'hex'))", part.sql), Sort::Text)),
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
                Sort::Json => Ok(Said::new(format!("({} is null) is not null", part.sql), Sort::Bool)),
                _ => Err(no(expr)),
            }
        }
        ("likely" | "unlikely", [one]) => said(one, scope),
        _ => Err(no(expr)),
    }
}
