//! `nslab logs`

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::exit_code::DONE;
use super::failure::Failure;
use super::lab_arg::LabArg;
use super::output::{print_to_reader, tell_oddities};
use crate::engine::{self, LogLine};
use crate::lab::{NsName, ProgramName};

/// How often to look for new output.
const INTERVAL: Duration = Duration::from_millis(100);

/// Options of `nslab logs`.
#[derive(Debug, clap::Args)]
pub struct LogsArgs {
    /// The lab's name, or its topology file
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    /// Only the programs of this namespace, or one program
    #[arg(value_name = "NAMESPACE[/PROGRAM]", value_parser = which)]
    of: Option<(NsName, Option<ProgramName>)>,
    /// Go on with what is printed from now on, until the lab is gone
    #[arg(long, short)]
    follow: bool,
    /// Only what was printed in this time: `90s`, `5m`, `2h`
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Duration>,
}

fn which(text: &str) -> Result<(NsName, Option<ProgramName>), String> {
    let (ns, name) = text.split_once('/').map_or((text, None), |(ns, name)| (ns, Some(name)));
    let ns = ns.parse().map_err(|error| format!("`{ns}` {error}"))?;
    let name = name.map(|name| name.parse().map_err(|error| format!("`{name}` {error}"))).transpose()?;
    Ok((ns, name))
}

fn time(text: &str) -> Result<Duration, String> {
    let unit = |unit: char| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        _ => None,
    };
    let parsed = text.char_indices().last().and_then(|(at, last)| {
        let (number, seconds) = unit(last).map_or((text, 1), |seconds| (text.get(..at).unwrap_or_default(), seconds));
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u32>().ok().filter(|_| digits).map(|number| Duration::from_secs(u64::from(number) * seconds))
    });
    parsed.ok_or_else(|| "a time is a number with a unit: 90s, 5m, 2h".to_owned())
}

/// Shows the output of a lab's programs.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &LogsArgs) -> Result<u8, Failure> {
    tell_oddities();
    let lab = LabArg::of(&args.lab)?.name()?;
    let of = args.of.as_ref().map(|(ns, name)| (ns, name.as_ref()));
    let mut logs = engine::logs(&lab, of)?;
    let begin = args.since.and_then(|since| SystemTime::now().checked_sub(since));
    let is_one = logs.programs() == 1;
    let shown = |lines: Vec<LogLine>| -> String {
        let lines = lines.into_iter().filter(|of| begin.is_none_or(|begin| of.line.at >= begin));
        lines
            .map(|LogLine { program, line }| match is_one {
                true => format!("{}\n", line.text),
                false => format!("{program} | {}\n", line.text),
            })
            .collect()
    };
    loop {
        let is_there = args.follow && logs.is_there();
        let text = shown(logs.next(is_there)?);
        if (!text.is_empty() && !print_to_reader(&text)?) || !is_there {
            return Ok(DONE);
        }
        std::thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86_400), ("7", 7)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "5x", "-1s", "1.5m", "99999999999s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
