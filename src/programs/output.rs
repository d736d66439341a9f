//! The output of programs, read back: each line with its time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::kernel::KernelError;
use crate::lab::{LabName, Position, ProgramRef};
use crate::state::ProgramFiles;

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it began.
    pub at: SystemTime,
    /// What it says, without its end.
    pub text: String,
}

/// The lines of a program's output behind a position, which moves to their end. With `whole`, a line that has not
/// ended yet is left for the next time.
///
/// # Errors
/// It is there and cannot be read.
pub(crate) fn output(
    lab: &LabName,
    program: &ProgramRef,
    position: &mut Position,
    whole: bool,
) -> Result<Vec<Line>, KernelError> {
    let Some(files) = ProgramFiles::open(lab)? else { return Ok(Vec::new()) };
    let mut output = files.output(program, position)?;
    if whole {
        let end = output.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        position.back(output.len() - end);
        output.truncate(end);
    }
    Ok(lines(&output).collect())
}

/// The lines of such a file. What is no line of it is passed over.
fn lines(output: &[u8]) -> impl Iterator<Item = Line> {
    output.split(|byte| *byte == b'\n').filter_map(|line| {
        let end = line.iter().position(|byte| *byte == b' ')?;
        let (time, text) = line.split_at_checked(end)?;
        let millis: u64 = std::str::from_utf8(time).ok()?.replacen('.', "", 1).parse().ok()?;
        let text = String::from_utf8_lossy(text.get(1..)?).into_owned();
        Some(Line { at: UNIX_EPOCH.checked_add(Duration::from_millis(millis))?, text })
    })
}

/// The last lines of a program's output behind a position.
pub(super) fn last_lines(lab: &LabName, program: &ProgramRef, count: usize, mut since: Position) -> Vec<String> {
    let all = output(lab, program, &mut since, false).unwrap_or_default();
    let shown = |text: &str| text.chars().take(300).collect();
    all.iter().skip(all.len().saturating_sub(count)).map(|line| shown(&line.text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_their_times() {
        let all: Vec<Line> = lines(b"12.345 a b\n12.346 \nodd\n-1 x\n13.000 \xff\n13.001 rest").collect();
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let texts: Vec<(SystemTime, &str)> = all.iter().map(|line| (line.at, line.text.as_str())).collect();
        assert_eq!(texts, [(at(12345), "a b"), (at(12346), ""), (at(13000), "\u{fffd}"), (at(13001), "rest")]);
    }
}
