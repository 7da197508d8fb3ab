//! How far a plan is that reads much: a bar on a terminal, a line now and then elsewhere. Nothing of looks that are soon over.

use super::console::Console;
use super::numbers::{count, duration, rows};
use engine::{Looking, SeeLooks};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

/// Nobody waits for less, in seconds, nor reads more often.
const FELT: f64 = 2.0;

#[derive(Default)]
struct Shown {
    bar: Option<ProgressBar>,
    /// When each look was told of last, in seconds since it began.
    told: Vec<(String, f64)>,
}

/// Shows how far looks are, on stderr.
pub fn shown(console: &Console) -> Option<SeeLooks> {
    if console.quiet {
        return None;
    }
    let draws = console.can_draw();
    let shown: Mutex<Shown> = Mutex::default();
    Some(Box::new(move |look| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if look.over {
            shown.told.retain(|(what, _)| what != look.what);
            if shown.told.is_empty()
                && let Some(bar) = shown.bar.take()
            {
                bar.finish_and_clear();
            }
            return;
        }
        let last = shown.told.iter().find(|(what, _)| what == look.what).map_or(0.0, |(_, last)| *last);
        if look.seconds - last < FELT {
            return;
        }
        shown.told.retain(|(what, _)| what != look.what);
        shown.told.push((look.what.to_owned(), look.seconds));
        match draws {
            true => draw(shown.bar.get_or_insert_with(bar), look),
            false => {
                let _ = writeln!(std::io::stderr().lock(), "looking at {}: {}", look.what, figures(look));
            }
        }
    }))
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("looking at {prefix} {wide_bar} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, look: &Looking) {
    bar.set_prefix(look.what.to_owned());
    bar.set_length(look.all.unwrap_or(look.done).max(look.done).max(1));
    bar.set_position(look.done);
    bar.set_message(figures(look));
}

/// Rows, rate and time left.
fn figures(look: &Looking) -> String {
    let rate = look.done as f64 / look.seconds.max(0.001);
    let speed = format!("{} rows/s", count(rate as u64));
    match look.all.filter(|all| *all >= look.done) {
        Some(all) => {
            let left = (all - look.done) as f64 / rate.max(0.001);
            format!("{} of about {}, {speed}, {} left", count(look.done), rows(all), duration(left))
        }
        None => format!("{}, {speed}", rows(look.done)),
    }
}

#[cfg(test)]
mod tests {
    use super::figures;
    use engine::Looking;

    #[test]
    fn the_time_left_is_told_where_the_end_is_known() {
        let look = Looking { what: "t", done: 250_000, all: Some(1_000_000), seconds: 5.0, over: false };
        assert_eq!(figures(&look), "250 000 of about 1 000 000 rows, 50 000 rows/s, 15 s left");
        assert_eq!(figures(&Looking { all: None, ..look }), "250 000 rows, 50 000 rows/s");
        assert_eq!(figures(&Looking { all: Some(7), ..look }), "250 000 rows, 50 000 rows/s");
    }
}
