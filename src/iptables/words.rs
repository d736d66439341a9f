//! Words on a line, as shells and the programs of iptables write and read them. Knows nothing of rules.

/// A word as a POSIX shell reads it back.
pub fn shell_word(word: &str) -> String {
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:,+=@%".contains(&b));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// A word as `iptables-restore`, which knows double quotes and backslashes only, reads it back; no option, and no
/// negation.
pub fn restore_word(word: &str) -> String {
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic() && !b"\"'\\#;".contains(&b));
    let plain = plain && word != "!" && !word.starts_with('-');
    if plain { word.to_owned() } else { format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// Whether a word could be an option: `-d` and `--dport`, but not `-1`, and nothing that a shell would stumble over.
pub(super) fn is_option(word: &str) -> bool {
    let Some(name) = word.strip_prefix('-') else { return false };
    let of_a_name = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    name.bytes().all(of_a_name) && !name.bytes().all(|b| b.is_ascii_digit())
}

/// Splits a line of iptables-save into words, and says of each whether it was in quotes.
pub(super) fn split_words(text: &str) -> Vec<(String, bool)> {
    let mut words = Vec::new();
    let mut word: Option<(String, bool)> = None;
    let mut in_quotes = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                in_quotes = !in_quotes;
                word.get_or_insert_default().1 = true;
            }
            '\\' if in_quotes => word.get_or_insert_default().0.extend(characters.next()),
            c if c.is_whitespace() && !in_quotes => words.extend(word.take()),
            c => word.get_or_insert_default().0.push(c),
        }
    }
    words.extend(word);
    words
}
