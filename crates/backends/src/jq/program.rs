//! One compiled program, and what it makes of one row.
//!
//! It may recurse until the process aborts: it runs in a process that may die. Functions that reach outside are taken away or
//! replaced: there is no environment, no other input, no local zone; `now` is the moment of the run; `halt` is an error.

use jaq_core::data::HasLut;
use jaq_core::load::{Arena, File, Loader, lex, parse};
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Compiler, Ctx, DataT, Error, Exn, Lut, Vars, load};
use jaq_json::{Val, read, write};
use targets::programs::{Outcome, Program};

/// Deeper than this no document is read: jaq's own parser recurses.
const DEEPEST: usize = 2_000;
/// The most bytes that a program may give for one row.
const MOST_BYTES: usize = 64 << 20;
/// Functions that reach outside.
const OUTSIDE: [&str; 7] =
    ["env", "now", "halt", "stderr_empty", "debug_empty", "localtime", "strflocaltime"];

/// What native functions may see.
#[derive(Clone)]
struct Around<'a> {
    lut: &'a Lut<Ours>,
    now: f64,
}

/// Our kind of data: values of jaq and the moment of the run.
struct Ours;

impl DataT for Ours {
    type V<'a> = Val;
    type Data<'a> = Around<'a>;
}

impl<'a> HasLut<'a, Ours> for Around<'a> {
    fn lut(&self) -> &'a Lut<Ours> {
        self.lut
    }
}

/// A program that is ready to run.
pub struct Compiled {
    filter: jaq_core::Filter<Ours>,
    args: Vec<Val>,
    now: f64,
    form: write::Pp,
}

/// Reads a program; else says what is wrong with it, and where.
pub fn compile(program: &Program) -> Result<Compiled, String> {
    let mut args = Vec::new();
    for (name, value) in &program.args {
        let value = read::parse_single(value.as_bytes());
        args.push(value.map_err(|error| format!("`${name}` cannot be read: {error}"))?);
    }
    let names: Vec<String> = program.args.iter().map(|(name, _)| format!("${name}")).collect();
    let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let arena = Arena::default();
    let modules = Loader::new(definitions)
        .load(&arena, File { code: program.text.as_str(), path: () })
        .map_err(|errors| unreadable(&program.text, &errors))?;
    let functions = jaq_core::funs::<Ours>()
        .chain(jaq_std::funs::<Ours>().filter(|(name, _, _)| !OUTSIDE.contains(name)))
        .chain(jaq_json::funs::<Ours>())
        .chain(instead());
    let filter = Compiler::default()
        .with_funs(functions)
        .with_global_vars(names.iter().map(String::as_str))
        .compile(modules)
        .map_err(|errors| unknown(&program.text, &errors))?;
    let indent = program.pretty.then(|| "  ".to_owned());
    let form = write::Pp { sep_space: program.pretty, indent, ..write::Pp::default() };
    Ok(Compiled { filter, args, now: program.now, form })
}

/// What takes the place of functions that reach outside, where programs or jaq's own definitions need one.
fn instead() -> impl Iterator<Item = Fun<Ours>> {
    let own: [Fun<Ours>; 4] = [
        run(("now", v(0), |cv| bome(Ok(Val::from(cv.0.data().now))))),
        run(("halt", v(1), |_| bome(Err(Error::str("a program that transforms rows cannot halt"))))),
        run(("stderr_empty", v(0), |_| Box::new(std::iter::empty()))),
        run(("debug_empty", v(0), |_| Box::new(std::iter::empty()))),
    ];
    own.into_iter()
}

impl Compiled {
    /// Gives the program one row.
    pub fn run(&self, row: &str) -> Outcome {
        match self.given(row) {
            Ok(given) => Outcome::Given(given),
            Err(reason) => Outcome::Failed(reason),
        }
    }

    fn given(&self, row: &str) -> Result<Vec<String>, String> {
        if is_deeper(row.as_bytes(), DEEPEST) {
            return Err(format!("its JSON is nested deeper than {DEEPEST} levels"));
        }
        let input = read::parse_single(row.as_bytes()).map_err(|error| format!("no JSON: {error}"))?;
        let around = Around { lut: &self.filter.lut, now: self.now };
        let context = Ctx::<Ours>::new(around, Vars::new(self.args.iter().cloned()));
        let (mut given, mut bytes) = (Vec::new(), 0);
        for value in self.filter.id.run((context, input)) {
            let mut text = Vec::new();
            let value = value.map_err(said)?;
            write::write(&mut text, &self.form, 0, &value).map_err(|error| error.to_string())?;
            bytes += text.len() + size_of::<String>();
            if bytes > MOST_BYTES {
                return Err(format!("it gives more than {} MB", MOST_BYTES >> 20));
            }
            given.push(String::from_utf8(text).map_err(|_| "what it gives is not UTF-8".to_owned())?);
        }
        Ok(given)
    }
}

/// What an exception says.
fn said(exception: Exn<'_, Val>) -> String {
    const SHOWN: usize = 500;
    let text = match exception.get_err() {
        Ok(error) => match error.into_val() {
            Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
            value => value.to_string(),
        },
        Err(_) => "it ended before its end".to_owned(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Whether brackets, outside of strings, are nested deeper than `most`.
fn is_deeper(json: &[u8], most: usize) -> bool {
    let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'[' | b'{' if !inside => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn unreadable(code: &str, errors: &load::Errors<&str, ()>) -> String {
    let mut all = Vec::new();
    for (_, error) in errors {
        match error {
            load::Error::Io(errors) => all.extend(errors.iter().map(|(part, why)| at(code, part, why))),
            load::Error::Lex(errors) => {
                all.extend(errors.iter().map(|(expected, part): &lex::Error<&str>| {
                    at(code, part, &format!("expected {}", expected.as_str()))
                }))
            }
            load::Error::Parse(errors) => {
                all.extend(errors.iter().map(|(expected, part): &parse::Error<&str>| {
                    at(code, part, &format!("expected {}", expected.as_str()))
                }));
            }
        }
    }
    all.join("; ")
}

fn unknown(code: &str, errors: &jaq_core::compile::Errors<&str, ()>) -> String {
    let each = errors.iter().flat_map(|(_, errors)| errors);
    let said =
        each.map(|(name, what)| match OUTSIDE.contains(name) || ["input", "inputs", "$ENV"].contains(name) {
            true => at(code, name, &format!("`{name}` is not there: a program sees its row, nothing else")),
            false => at(code, name, &format!("there is no {} `{name}`", what.as_str())),
        });
    said.collect::<Vec<_>>().join("; ")
}

/// Where in the program, and what. Parts of jaq's own definitions have no place in it.
fn at(code: &str, part: &str, what: &str) -> String {
    let begin = code.as_ptr() as usize;
    let place = (part.as_ptr() as usize).checked_sub(begin).filter(|place| *place <= code.len());
    let Some(before) = place.and_then(|place| code.get(..place)) else { return what.to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let near: String = part.chars().take(20).take_while(|c| *c != '\n').collect();
    match near.is_empty() {
        true => format!("line {line}, column {column}: {what}"),
        false => format!("line {line}, column {column}, at `{near}`: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> Program {
        Program { text: text.to_owned(), args: Default::default(), now: 12.5, pretty: false }
    }

    fn give(text: &str, row: &str) -> Outcome {
        compile(&program(text)).unwrap_or_else(|error| panic!("{error}")).run(row)
    }

    fn gives(text: &str, row: &str, wanted: &[&str]) {
        assert_eq!(
            give(text, row),
            Outcome::Given(wanted.iter().map(|one| (*one).to_owned()).collect()),
            "{text}"
        );
    }

    #[test]
    fn numbers_too_large_for_a_float_stay_as_they_are() {
        gives(".", "[12345678901234567890123,1e400,0.10]", &["[12345678901234567890123,1e400,0.10]"]);
    }

    #[test]
    fn a_program_sees_the_moment_of_the_run_and_its_arguments() {
        gives("now", "null", &["12.5"]);
        let mut with = program("$prefix + .");
        with.args.push(("prefix".into(), "\"a-\"".into()));
        assert_eq!(compile(&with).ok().unwrap().run("\"b\""), Outcome::Given(vec!["\"a-b\"".into()]));
    }

    #[test]
    fn what_reaches_outside_is_not_there() {
        for text in ["env", "$ENV", "input", "inputs", "localtime", "include \"a\"; ."] {
            assert!(compile(&program(text)).is_err(), "{text}");
        }
        assert!(matches!(give("halt", "1"), Outcome::Failed(_)));
        assert!(matches!(give("halt_error", "1"), Outcome::Failed(_)));
        gives("debug | stderr", "1", &["1"]);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let said = compile(&program("def f: 1;\nf | nofun(2)")).err().unwrap();
        assert!(said.contains("line 2, column 5") && said.contains("nofun"), "{said}");
        let said = compile(&program(".a | [")).err().unwrap();
        assert!(said.contains("line 1"), "{said}");
    }

    #[test]
    fn deep_documents_are_refused_before_they_are_read() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(give(".", &deep), Outcome::Failed(reason) if reason.contains("deeper")));
        gives(".", "\"[[[[\\\"[[\"", &["\"[[[[\\\"[[\""]);
    }

    #[test]
    fn an_error_after_values_spoils_the_row() {
        assert!(matches!(give("1, error(\"no\")", "null"), Outcome::Failed(reason) if reason == "no"));
    }
}
