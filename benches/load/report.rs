//! The figures as a table: plain to read, and Markdown too.

/// The middle of some figures; none of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A table that lines up.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it under a title.
    pub fn print(&self, title: &str) {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |at: usize| {
            self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
        println!("\n{title}\n");
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(at, (cell, &width))| match at {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                })
                .collect();
            println!("| {} |", cells.join(" | "));
            if number == 0 {
                let rule = |(at, &width): (usize, &usize)| match at {
                    0 => "-".repeat(width + 2),
                    _ => format!("{}:", "-".repeat(width + 1)),
                };
                let rules: Vec<String> = widths.iter().enumerate().map(rule).collect();
                println!("|{}|", rules.join("|"));
            }
        }
    }
}

/// A whole number, with spaces between the thousands.
pub fn whole(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A figure with one decimal.
pub fn tenths(figure: f64) -> String {
    format!("{figure:.1}")
}

/// A figure with two decimals.
pub fn hundredths(figure: f64) -> String {
    format!("{figure:.2}")
}
