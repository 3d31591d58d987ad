//! The rows of one table in the benchmark's output: a name, a number of policies, then figures between blanks.

/// One row.
pub struct Row {
    pub name: String,
    pub size: f64,
    cells: Vec<String>,
}

impl Row {
    /// A figure by its position among the words of the row; none where the benchmark printed `-`, or a mark of its
    /// own such as `inf`.
    pub fn number(&self, column: usize) -> Option<f64> {
        let cell = self.cells.get(column)?;
        let number: f64 = cell.trim_end_matches('*').parse().ok()?;
        (number.is_finite() && number > 0.0).then_some(number)
    }
}

/// The rows of the table whose title begins like this: up to the next empty line.
pub fn rows(text: &str, title: &str) -> Vec<Row> {
    let lines = text.lines().skip_while(|l| !l.starts_with(title)).skip(1).take_while(|l| !l.trim().is_empty());
    lines.filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<String> = line.split_whitespace().filter(|w| *w != "|").map(String::from).collect();
    let size = cells.get(1)?.parse().ok()?;
    Some(Row { name: cells.first()?.clone(), size, cells })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_and_a_dash_is_no_figure() {
        let text = "Title here\nset policies a\nhosts 1000 inf 132 | 7.5 - 8*\n\nother 5 1\n";
        let rows = rows(text, "Title");
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].name.as_str(), rows[0].size), ("hosts", 1000.0));
        assert_eq!([2, 3, 4, 5, 6].map(|n| rows[0].number(n)), [None, Some(132.0), Some(7.5), None, Some(8.0)]);
    }
}
