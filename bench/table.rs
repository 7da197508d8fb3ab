//! Medians, ratios and bars as a Markdown table.

use crate::child::Outcome;

/// The highest peak memory allowed, in MB.
const PEAK_MB: f64 = 64.0;

/// One line of the table.
pub struct Ratio {
    title: String,
    bar: f64,
    at_most: bool,
    wall: Vec<f64>,
    cpu: Vec<f64>,
    ours: Vec<f64>,
    base: Vec<f64>,
    note: String,
}

impl Ratio {
    pub fn at_most(title: &str, bar: f64) -> Self {
        Self {
            title: title.to_owned(),
            bar,
            at_most: true,
            wall: Vec::new(),
            cpu: Vec::new(),
            ours: Vec::new(),
            base: Vec::new(),
            note: String::new(),
        }
    }

    pub fn at_least(title: &str, bar: f64) -> Self {
        Self { at_most: false, ..Self::at_most(title, bar) }
    }

    /// One round.
    pub fn add(&mut self, ours: &Outcome, base: &Outcome) {
        self.add_bare(ours.seconds, base.seconds);
        self.cpu.push(ours.cpu / base.cpu.max(0.01));
    }

    /// One round of something that is not an operation.
    pub fn add_bare(&mut self, ours: f64, base: f64) {
        self.ours.push(ours);
        self.base.push(base);
        self.wall.push(ours / base.max(1e-6));
    }

    pub fn note(&mut self, note: String) {
        self.note = note;
    }
}

/// All lines of one database.
#[derive(Default)]
pub struct Table {
    ratios: Vec<Ratio>,
    peak_kb: u64,
}

impl Table {
    pub fn add(&mut self, ratio: Ratio) {
        if !ratio.wall.is_empty() {
            self.ratios.push(ratio);
        }
    }

    pub fn peak(&mut self, kb: u64) {
        self.peak_kb = self.peak_kb.max(kb);
    }

    pub fn print(&self) {
        println!("| what | bar | ratio | of CPU seconds | rounds | seconds, ours / base | met |");
        println!("|---|---|---|---|---|---|---|");
        for ratio in &self.ratios {
            let sign = if ratio.at_most { "≤" } else { "≥" };
            let wall = median(&ratio.wall);
            let met = if ratio.at_most { wall <= ratio.bar } else { wall >= ratio.bar };
            // What has no bar is told only.
            let (bar, met) = match ratio.bar.is_finite() {
                true => (format!("{sign} {}", ratio.bar), if met { "yes" } else { "no" }),
                false => ("–".to_owned(), "–"),
            };
            let rounds: Vec<String> = ratio.wall.iter().map(|round| format!("{round:.2}")).collect();
            let cpu =
                if ratio.cpu.is_empty() { "–".to_owned() } else { format!("{:.2}", median(&ratio.cpu)) };
            println!(
                "| {}{} | {bar} | **{wall:.2}** | {cpu} | {} | {:.2} / {:.2} | {} |",
                ratio.title,
                ratio.note,
                rounds.join(" "),
                median(&ratio.ours),
                median(&ratio.base),
                met
            );
        }
        if self.peak_kb > 0 {
            let mb = self.peak_kb as f64 / 1024.0;
            let met = if mb <= PEAK_MB { "yes" } else { "no" };
            println!("| peak memory of Sexton, MB | ≤ {PEAK_MB} | **{mb:.0}** | – | – | – | {met} |");
        }
    }

    /// That something was measured at all.
    pub fn check(&self) {
        assert!(self.ratios.len() >= 7, "only {} lines", self.ratios.len());
        assert!(
            self.ratios.iter().all(|ratio| ratio.wall.iter().all(|value| value.is_finite() && *value > 0.0))
        );
        assert!((1..1 << 20).contains(&self.peak_kb), "a peak of {} kB", self.peak_kb);
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
