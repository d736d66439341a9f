//! Single values: what each kind is called, how it is parsed, how a schema describes it.

use schemars::{Schema, json_schema};

use crate::topology::diagnostics::nearest;

/// A kind of single value.
pub trait Scalar: Sized {
    /// What is expected, for messages: "true or false".
    const WHAT: &'static str;

    /// Parses the text as the author wrote it.
    fn parse(text: &str) -> Result<Self, Wrong>;

    /// How the JSON Schema describes it.
    fn schema() -> Schema {
        json_schema!({ "type": "string", "description": Self::WHAT })
    }
}

/// What is wrong with a value.
pub struct Wrong {
    pub message: String,
    pub help: Option<String>,
}

impl Wrong {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// "`x` is not WHAT", for values that have a form and no other fault.
pub(super) fn not<T: Scalar>(text: &str) -> Wrong {
    Wrong::new(format!("`{text}` is not {}", T::WHAT))
}

/// The two ends of a range such as `40-50`, of which a single number is one; `one` reads a number.
pub(super) fn range<T: Scalar>(text: &str, one: impl Fn(&str) -> Option<u16>) -> Result<(u16, u16), Wrong> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (one(first), one(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        (Some(_), Some(_)) => {
            Err(Wrong::new(format!("the range {text} ends before it begins")).help(format!("write {last}-{first}")))
        }
        _ => Err(not::<T>(text)),
    }
}

/// The schema of a range of numbers from 1.
pub(super) fn range_schema<T: Scalar>(most: u16) -> Schema {
    json_schema!({
        "description": T::WHAT,
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": most },
            { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?$" },
        ],
    })
}

/// One of a few words.
pub(super) fn word<T: Scalar + Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => {
            let names = words.iter().map(|(word, _)| *word).filter(|word| word.len() > 2);
            let meant = nearest(&text.to_ascii_lowercase(), names);
            let wrong = not::<T>(text);
            Err(match meant {
                Some(meant) => wrong.help(format!("did you mean `{meant}`?")),
                None => wrong,
            })
        }
    }
}

/// One of Kubernetes' words, which have capitals.
pub(super) fn word_of_kubernetes<T: Scalar + Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    word(text, words).map_err(|wrong| match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
        Some((word, _)) => wrong.help(format!("write {word}")),
        None => wrong,
    })
}

/// The schema of one of a few words.
pub(super) fn words<T>(words: &[(&str, T)]) -> Schema {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    json_schema!({ "type": "string", "enum": words })
}

impl Scalar for bool {
    const WHAT: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => {
                let meant = match other.to_ascii_lowercase().as_str() {
                    "yes" | "y" | "on" | "true" | "1" | "enabled" => Some("true"),
                    "no" | "n" | "off" | "false" | "0" | "disabled" => Some("false"),
                    _ => None,
                };
                let wrong = not::<Self>(other);
                Err(match meant {
                    Some(meant) => wrong.help(format!("write {meant}")),
                    None => wrong,
                })
            }
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

impl Scalar for u32 {
    const WHAT: &'static str = "a whole number from 0 to 4294967295";

    fn parse(text: &str) -> Result<Self, Wrong> {
        // Digits only: `+5`, `0x10` and `1e3` mean different things to different readers.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
    }
}

/// A time in seconds: `1s`, `500ms`, `5m`, or a number of seconds.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        _ => return None,
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    digits.parse::<f64>().ok().filter(|_| plain).map(|number| number * unit)
}

/// The schema of a time.
pub(super) fn time_schema<T: Scalar>() -> Schema {
    json_schema!({
        "description": T::WHAT,
        "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": "^[0-9.]+(ms|s|m)?$" }],
    })
}

impl Scalar for std::time::Duration {
    const WHAT: &'static str = "a time from 1ms to 5m, such as 1s, 500ms or 0.5 (seconds)";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match seconds(text) {
            Some(seconds) if (0.001..=300.0).contains(&seconds) => Ok(Self::from_secs_f64(seconds)),
            _ => Err(not::<Self>(text)),
        }
    }

    fn schema() -> Schema {
        time_schema::<Self>()
    }
}
