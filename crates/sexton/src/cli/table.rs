//! Columns of text, aligned.

/// Rows with a heading. Columns named in `right` are set to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// Begins with the heading.
    pub fn new<const N: usize>(heading: [&str; N], right: &[usize]) -> Self {
        Self { rows: vec![heading.map(str::to_owned).to_vec()], right: right.to_vec() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Whether there is nothing but the heading.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The lines, each after `indent` blanks. The last column is not filled up.
    pub fn lines(&self, indent: usize) -> Vec<String> {
        let columns = self.rows[0].len();
        let width = |n: usize| self.rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows
            .iter()
            .map(|row| {
                let cells: Vec<String> = row
                    .iter()
                    .enumerate()
                    .map(|(n, cell)| {
                        let fill = " ".repeat(widths[n] - cell.chars().count());
                        if self.right.contains(&n) { fill + cell } else { format!("{cell}{fill}") }
                    })
                    .collect();
                format!("{}{}", " ".repeat(indent), cells.join("  ")).trim_end().to_owned()
            })
            .collect()
    }

    /// All lines as one text.
    pub fn text(&self) -> String {
        self.lines(0).join("\n")
    }
}
