//! Text for people in lines that fit a terminal.

use comfy_table::{Table, presets};

/// No more columns than every terminal has.
pub(super) const WIDTH: usize = 80;

/// A text of others on one line of a terminal: control characters could move the cursor or change colours.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A text in lines of at most `width` columns, broken between words where that is possible; the first line is indented
/// by `first`, the others by `hang`. What it begins with is kept as it is, for columns.
pub(super) fn fitted(text: &str, first: usize, hang: usize, width: usize) -> String {
    let mut rest: Vec<char> = text.trim_end().chars().collect();
    let mut lines = String::new();
    let mut indent = first;
    loop {
        let room = width.saturating_sub(indent).max(20);
        if rest.len() <= room {
            lines += &format!("{:indent$}{}\n", "", rest.iter().collect::<String>());
            return lines;
        }
        let space = rest.iter().take(room + 1).rposition(|c| *c == ' ').filter(|at| *at > 0).unwrap_or(room);
        let next = rest.split_off(space);
        let line: String = rest.iter().collect();
        lines += &format!("{:indent$}{}\n", "", line.trim_end());
        rest = next.into_iter().skip_while(|c| *c == ' ').collect();
        indent = hang.min(width / 2);
    }
}

/// A table without borders, if it has at most `width` columns.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]], width: usize) -> Option<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head).add_rows(rows);
    let text = table.to_string();
    text.lines().all(|line| line.trim_end().chars().count() <= width).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_fit_and_nothing_is_lost(words in prop::collection::vec("[a-zé:/]{1,120}", 1..12), hang in 0_usize..90) {
            let text = words.join(" ");
            let shown = fitted(&text, 2, hang, 80);
            for line in shown.lines() {
                prop_assert!(line.chars().count() <= 80, "{line}");
            }
            let without_spaces = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(without_spaces(&shown), without_spaces(&text));
        }
    }
}
