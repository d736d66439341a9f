//! The arguments behind `iptables -A CHAIN`, whatever they mean.

use super::words::{is_option, restore_word, shell_word, split_words};

/// One argument with its values: `! -d 10.0.0.0/8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arg {
    /// The option as `iptables-save` prints it: `-s`, `--dport`, `-j`.
    pub(super) option: String,
    /// Whether a `!` precedes it.
    pub(super) negated: bool,
    /// What follows it.
    pub(super) values: Vec<String>,
}

impl Arg {
    /// An option and its value.
    pub(super) fn new(option: &str, value: impl ToString) -> Self {
        Self { option: option.to_owned(), negated: false, values: vec![value.to_string()] }
    }

    /// An option without a value.
    pub(super) fn flag(option: &str) -> Self {
        Self { option: option.to_owned(), negated: false, values: Vec::new() }
    }

    /// Its value, if it has one and no more.
    pub(super) fn value(&self) -> Option<&str> {
        match self.values.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Whether any word that follows is its value: `iptables-save` puts no quotes round a comment `-j`.
    fn lacks_text(&self) -> bool {
        matches!(self.option.as_str(), "--comment" | "--log-prefix") && self.values.is_empty()
    }
}

/// What follows the chain's name in a line of `iptables-save`.
pub(super) fn parse(text: &str) -> Vec<Arg> {
    let mut args: Vec<Arg> = Vec::new();
    let mut negated = false;
    for (word, quoted) in split_words(text) {
        let is_value = quoted || args.last().is_some_and(Arg::lacks_text);
        if word == "!" && !is_value {
            negated = true;
        } else if !is_value && is_option(&word) {
            args.push(Arg { option: word, negated: std::mem::take(&mut negated), values: Vec::new() });
        } else if let Some(arg) = args.last_mut() {
            arg.values.push(word);
        }
    }
    args
}

/// Arguments for a shell's command line.
pub(super) fn shell(args: &[Arg]) -> String {
    line(args, shell_word)
}

/// Arguments for `iptables-restore`.
pub(super) fn restore(args: &[Arg]) -> String {
    line(args, restore_word)
}

fn line(args: &[Arg], quote: impl Fn(&str) -> String) -> String {
    let mut words = Vec::new();
    for arg in args {
        if arg.negated {
            words.push("!".to_owned());
        }
        words.push(arg.option.clone());
        words.extend(arg.values.iter().map(|value| quote(value)));
    }
    words.join(" ")
}
