//! Functions over many rows: aggregates, and those of windows.

use super::expression::{Outcome, Said, Scope, Sort, judged, no, number, said, string};
use super::queries;
use super::sides::alike;
use sqlite3_parser::ast::{
    Distinctness, Expr, FrameBound, FrameClause, FrameExclude, FrameMode, FunctionTail, Over, Window,
};
use targets::db::quote;

/// The functions that make one value of many rows.
fn is_aggregate(name: &str, args: usize) -> bool {
    match name {
        "min" | "max" => args == 1,
        _ => matches!(name, "count" | "sum" | "total" | "avg" | "group_concat" | "string_agg"),
    }
}

/// Those that a window must be said for.
fn is_of_window(name: &str) -> bool {
    matches!(
        name,
        "row_number"
            | "rank"
            | "dense_rank"
            | "percent_rank"
            | "cume_dist"
            | "ntile"
            | "lag"
            | "lead"
            | "first_value"
            | "last_value"
            | "nth_value"
    )
}

/// Whether a value of many rows is somewhere in it.
pub(super) fn is_in(expr: &Expr) -> bool {
    any(expr, &|expr| match expr {
        Expr::FunctionCallStar { filter_over, .. } => !has_window(filter_over.as_ref()),
        Expr::FunctionCall { name, args, filter_over, .. } => {
            let args = args.map_or(0, <[Expr]>::len);
            is_aggregate(&name.0.to_ascii_lowercase(), args) && !has_window(filter_over.as_ref())
        }
        _ => false,
    })
}

/// Whether something in it may do more than give a value.
pub(super) fn acts(expr: &Expr) -> bool {
    any(expr, &|expr| match expr {
        Expr::FunctionCall { name, args, .. } => {
            !is_aggregate(&name.0.to_ascii_lowercase(), args.map_or(0, <[Expr]>::len))
        }
        Expr::Raise(..) | Expr::Subquery(_) | Expr::Exists(_) | Expr::InSelect { .. } => true,
        _ => false,
    })
}

/// Whether something is true of a part, queries inside left aside.
fn any(expr: &Expr, is: &dyn Fn(&Expr) -> bool) -> bool {
    let any = |expr: &Expr| any(expr, is);
    is(expr)
        || match expr {
            Expr::FunctionCall { args, .. } => args.unwrap_or_default().iter().any(any),
            Expr::Between { lhs, start, end, .. } => [*lhs, *start, *end].into_iter().any(any),
            Expr::Binary(left, _, right) => any(left) || any(right),
            Expr::Case { base, when_then_pairs, else_expr } => {
                base.is_some_and(any)
                    || else_expr.is_some_and(any)
                    || when_then_pairs.iter().any(|(when, then)| any(when) || any(then))
            }
            Expr::Cast { expr, .. }
            | Expr::Collate(expr, _)
            | Expr::IsNull(expr)
            | Expr::NotNull(expr)
            | Expr::Unary(_, expr) => any(expr),
            Expr::InList { lhs, rhs, .. } => any(lhs) || rhs.is_some_and(|list| list.iter().any(any)),
            Expr::InSelect { lhs, .. } => any(lhs),
            Expr::Like { lhs, rhs, .. } => any(lhs) || any(rhs),
            Expr::Parenthesized(list) => list.iter().any(any),
            _ => false,
        }
}

fn has_window(tail: Option<&FunctionTail>) -> bool {
    tail.is_some_and(|tail| tail.over_clause.is_some())
}

/// A call; none where it is no such function. `here` is where the call stands, `rows` where each row can be named.
pub(super) fn call(expr: &Expr, here: Scope, rows: Scope) -> Option<Outcome> {
    match expr {
        Expr::FunctionCallStar { name, filter_over } => {
            let tail = match tail(filter_over.as_ref(), here, rows) {
                Ok(tail) => tail,
                Err(why) => return Some(Err(why)),
            };
            let counts = name.0.eq_ignore_ascii_case("count");
            let sql = format!("count(*){tail}");
            Some(if counts { Ok(Said::new(sql, Sort::Whole)) } else { Err(no(expr)) })
        }
        Expr::FunctionCall { name, distinctness, args, order_by, filter_over } => {
            let name = name.0.to_ascii_lowercase();
            let args = args.unwrap_or_default();
            let over = has_window(filter_over.as_ref());
            if !(is_aggregate(&name, args.len()) || over && is_of_window(&name)) {
                return None;
            }
            // an order inside of the call
            if order_by.is_some() {
                return Some(Err(no(expr)));
            }
            let distinct = match distinctness {
                Some(Distinctness::Distinct) => "distinct ",
                _ => "",
            };
            let inside = if over { here } else { rows };
            Some(tail(filter_over.as_ref(), here, rows).and_then(|tail| {
                let part = match is_aggregate(&name, args.len()) {
                    true => aggregate(expr, &name, distinct, args, inside)?,
                    false => of_window(expr, &name, args, inside)?,
                };
                Ok(finished(part, &tail))
            }))
        }
        _ => None,
    }
}

/// The call itself, and what is around it once its rows are said.
struct Call {
    head: String,
    around: (&'static str, &'static str),
    said: Said,
}

fn finished(call: Call, tail: &str) -> Said {
    let (before, after) = call.around;
    Said { sql: format!("{before}{}{tail}{after}", call.head), ..call.said }
}

fn plain(head: String, sort: Sort) -> Call {
    Call { head, around: ("", ""), said: Said::new("", sort) }
}

fn real(head: String, around: (&'static str, &'static str)) -> Call {
    Call { head, around, said: Said { real: true, ..Said::new("", Sort::Number) } }
}

fn aggregate(expr: &Expr, name: &str, distinct: &str, args: &[Expr], scope: Scope) -> Result<Call, String> {
    // two texts that differ in case are two, or one: the server would count them apart
    let folded = |part: &Said| part.nocase && (!distinct.is_empty() || matches!(name, "min" | "max"));
    match (name, args) {
        ("count", []) => Ok(plain("count(*)".to_owned(), Sort::Whole)),
        ("count", [one]) => {
            let part = said(one, scope)?;
            if folded(&part) || matches!(part.sort, Sort::Json | Sort::Mixed) && !distinct.is_empty() {
                return Err(no(expr));
            }
            Ok(plain(format!("count({distinct}{})", part.sql), Sort::Whole))
        }
        ("sum", [one]) => {
            let part = number(one, scope)?;
            let head = format!("sum({distinct}{})", part.sql);
            Ok(match part.sort {
                // whole numbers add up to a decimal there, which is whole as well
                Sort::Whole => Call { around: ("(", ")::bigint"), ..plain(head, Sort::Whole) },
                _ => Call {
                    said: Said { real: part.real, ..Said::new("", Sort::Number) },
                    ..plain(head, Sort::Number)
                },
            })
        }
        ("total", [one]) => {
            let part = number(one, scope)?;
            Ok(real(format!("sum({distinct}{}::double precision)", part.sql), ("coalesce(", ", 0.0)")))
        }
        ("avg", [one]) => {
            let part = number(one, scope)?;
            Ok(real(format!("avg({distinct}{})", part.sql), ("(", ")::double precision")))
        }
        ("min" | "max", [one]) => {
            let part = said(one, scope)?;
            if folded(&part) {
                return Err(no(expr));
            }
            match part.sort {
                Sort::Whole | Sort::Number | Sort::Moment | Sort::Day | Sort::Clock => {
                    let said = Said {
                        real: part.real,
                        also: Vec::new(),
                        literal: None,
                        affine: false,
                        ..part.clone()
                    };
                    Ok(Call { said, ..plain(format!("{name}({})", part.sql), part.sort) })
                }
                Sort::Bool => {
                    let said = Said { narrow: true, ..Said::new("", Sort::Whole) };
                    Ok(Call { said, ..plain(format!("{name}(({})::int)", part.sql), Sort::Whole) })
                }
                Sort::Text => Ok(plain(format!("{name}({} collate \"C\")", part.sql), Sort::Text)),
                _ => Err(no(expr)),
            }
        }
        ("group_concat" | "string_agg", [one, rest @ ..]) if rest.len() <= 1 => {
            let part = said(one, scope)?;
            if folded(&part) {
                return Err(no(expr));
            }
            let sql = match part.sort {
                Sort::Text => part.sql,
                Sort::Whole => format!("({})::text", part.sql),
                Sort::Bool => format!("({})::int::text", part.sql),
                _ => return Err(no(expr)),
            };
            let between = match rest {
                [] => string(","),
                [one, ..] => {
                    let part = said(one, scope)?;
                    if part.sort != Sort::Text {
                        return Err(no(expr));
                    }
                    part.sql
                }
            };
            Ok(plain(format!("string_agg({distinct}{sql}, {between})"), Sort::Text))
        }
        _ => Err(no(expr)),
    }
}

fn of_window(expr: &Expr, name: &str, args: &[Expr], scope: Scope) -> Result<Call, String> {
    match (name, args) {
        ("row_number" | "rank" | "dense_rank", []) => Ok(plain(format!("{name}()"), Sort::Whole)),
        ("percent_rank" | "cume_dist", []) => Ok(real(format!("{name}()"), ("", ""))),
        ("ntile", [count]) => {
            let count = number(count, scope)?;
            Ok(plain(format!("ntile(({})::int)", count.sql), Sort::Whole))
        }
        ("lag" | "lead", [what, rest @ ..]) if rest.len() <= 2 => {
            let part = said(what, scope)?;
            let mut list = vec![part.sql.clone()];
            if let Some(by) = rest.first() {
                list.push(format!("({})::int", number(by, scope)?.sql));
            }
            let mut one = Said { also: Vec::new(), literal: None, affine: false, ..part.clone() };
            if let Some(other) = rest.get(1) {
                let (both, whole) = alike(expr, vec![part, said(other, scope)?])?;
                list[0] = both[0].clone();
                list.push(both[1].clone());
                one = whole;
            }
            Ok(Call { said: one, ..plain(format!("{name}({})", list.join(", ")), Sort::Null) })
        }
        ("first_value" | "last_value", [what]) => {
            let part = said(what, scope)?;
            let head = format!("{name}({})", part.sql);
            Ok(Call {
                said: Said { also: Vec::new(), literal: None, affine: false, ..part },
                ..plain(head, Sort::Null)
            })
        }
        ("nth_value", [what, n]) => {
            let part = said(what, scope)?;
            let head = format!("nth_value({}, ({})::int)", part.sql, number(n, scope)?.sql);
            Ok(Call {
                said: Said { also: Vec::new(), literal: None, affine: false, ..part },
                ..plain(head, Sort::Null)
            })
        }
        _ => Err(no(expr)),
    }
}

/// Which rows a call is over.
fn tail(tail: Option<&FunctionTail>, here: Scope, rows: Scope) -> Result<String, String> {
    let Some(tail) = tail else { return Ok(String::new()) };
    let mut out = String::new();
    if let Some(filter) = tail.filter_clause {
        let scope = if tail.over_clause.is_some() { here } else { rows };
        out.push_str(&format!(" filter (where {})", judged(filter, scope)?));
    }
    match tail.over_clause {
        None => {}
        Some(Over::Name(name)) => {
            out.push_str(&format!(" over {}", quote(&super::grammar::unquoted(name.0).to_lowercase())))
        }
        Some(Over::Window(window)) => out.push_str(&format!(" over ({})", self::window(window, here)?)),
    }
    Ok(out)
}

/// What is said of a window.
pub(super) fn window(window: &Window, scope: Scope) -> Result<String, String> {
    let mut parts = Vec::new();
    if let Some(base) = &window.base {
        parts.push(quote(&super::grammar::unquoted(base.0).to_lowercase()));
    }
    if let Some(list) = window.partition_by {
        let each = list.iter().map(|expr| queries::key(expr, scope)).collect::<Result<Vec<_>, _>>()?;
        parts.push(format!("partition by {}", each.join(", ")));
    }
    if let Some(list) = window.order_by {
        let each = list.iter().map(|one| {
            let part = said(&one.expr, scope)?;
            queries::sorted(part, one)
        });
        parts.push(format!("order by {}", each.collect::<Result<Vec<_>, _>>()?.join(", ")));
    }
    if let Some(frame) = &window.frame_clause {
        parts.push(self::frame(frame, scope)?);
    }
    Ok(parts.join(" "))
}

fn frame(frame: &FrameClause, scope: Scope) -> Result<String, String> {
    let mode = match frame.mode {
        FrameMode::Groups => "groups",
        FrameMode::Range => "range",
        FrameMode::Rows => "rows",
    };
    let bound = |bound: &FrameBound| {
        Ok::<String, String>(match bound {
            FrameBound::CurrentRow => "current row".to_owned(),
            FrameBound::Following(by) => format!("{} following", number(by, scope)?.sql),
            FrameBound::Preceding(by) => format!("{} preceding", number(by, scope)?.sql),
            FrameBound::UnboundedFollowing => "unbounded following".to_owned(),
            FrameBound::UnboundedPreceding => "unbounded preceding".to_owned(),
        })
    };
    let start = bound(&frame.start)?;
    let mut out = match &frame.end {
        Some(end) => format!("{mode} between {start} and {}", bound(end)?),
        None => format!("{mode} {start}"),
    };
    if let Some(exclude) = &frame.exclude {
        out.push_str(match exclude {
            FrameExclude::NoOthers => " exclude no others",
            FrameExclude::CurrentRow => " exclude current row",
            FrameExclude::Group => " exclude group",
            FrameExclude::Ties => " exclude ties",
        });
    }
    Ok(out)
}
