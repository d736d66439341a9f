//! Paths of rules, plain ones and regular expressions, and what they are rewritten to.

use std::fmt;

/// How a path is compared with that of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathType {
    /// It is the same.
    Exact,
    /// Its elements, between slashes, are the first ones.
    Prefix,
    /// It is the beginning; with `rewrite-target` or `use-regex` a regular expression.
    ImplementationSpecific,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(String);

/// The path that a request has at the service instead of its own: `/$2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rewrite(String);

/// What plain paths have besides letters and digits: nothing that means something to nginx.
const PLAIN: &str = "/._~:@+,=!-";
/// What regular expressions have besides. Counts in braces are none: braces are for ranges in a topology file.
const OF_EXPRESSIONS: &str = "()[]|*?^$\\";
/// What may stand behind a backslash: no character that nginx itself reads as one of its own (`\n`, `\"`).
const ESCAPED: &str = "dDwWsS/.()[]|*+?^$-";
/// The longest path in bytes: nginx reads words of 4096.
const LONGEST: usize = 1024;
/// How deep groups of a regular expression are.
const DEEPEST: usize = 50;

impl Path {
    /// A path that is compared as it stands.
    ///
    /// # Errors
    /// Why it is none.
    pub fn plain(text: &str) -> Result<Self, String> {
        begins(text)?;
        let decoded = text.split('/').any(|element| element == "." || element == "..");
        if decoded || text.contains("//") {
            return Err("is no path: it may not have `//`, `.` or `..` between its slashes".to_owned());
        }
        match text.chars().find(|c| !c.is_ascii_alphanumeric() && !PLAIN.contains(*c)) {
            None => Ok(Self(text.to_owned())),
            Some('%') => Err("is no path: it is compared with what %-signs stand for".to_owned()),
            Some(c) => Err(format!("is no path: it may not have {c:?} in it")),
        }
    }

    /// A path that is a regular expression.
    ///
    /// # Errors
    /// Why it is none.
    pub fn expression(text: &str) -> Result<Self, String> {
        begins(text)?;
        let may_have = |c: char| c.is_ascii_alphanumeric() || PLAIN.contains(c) || OF_EXPRESSIONS.contains(c);
        if let Some(c) = text.chars().find(|c| !may_have(*c)) {
            return Err(format!("is no regular expression that a path can be: it may not have {c:?} in it"));
        }
        Expression::default().read(text)?;
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same with a slash at its end.
    pub(super) fn with_slash(&self) -> String {
        format!("{}/", self.0.trim_end_matches('/'))
    }

    /// The same without one.
    pub(super) fn without_slash(&self) -> &str {
        self.0.trim_end_matches('/')
    }
}

/// What a path that is compared and one that is an expression have in common.
fn begins(text: &str) -> Result<(), String> {
    match text.starts_with('/') && text.len() <= LONGEST {
        true => Ok(()),
        false => Err("is no path: it begins with `/`, and has at most 1024 letters".to_owned()),
    }
}

/// What has been read of a regular expression.
#[derive(Default)]
struct Expression {
    /// The groups that are open.
    open: usize,
    /// Whether there is something that can be repeated.
    has_atom: bool,
}

impl Expression {
    /// Whether nginx can take it: brackets in pairs, and only what can be repeated is. Less than that is allowed, so
    /// that none is refused when it is too late to say where it was written.
    fn read(mut self, text: &str) -> Result<(), String> {
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            self.has_atom = match c {
                '\\' if characters.next().is_some_and(|next| ESCAPED.contains(next)) => true,
                '\\' => return Err(no("a backslash stands before nothing that it can")),
                '[' => {
                    let mut is_closed = false;
                    let class: String = characters
                        .by_ref()
                        .take_while(|c| {
                            is_closed = *c == ']';
                            !is_closed
                        })
                        .collect();
                    if !is_closed || !is_class(&class) {
                        return Err(no("`[` begins nothing such as [a-z0-9_-]"));
                    }
                    true
                }
                '(' if self.open < DEEPEST => {
                    self.open += 1;
                    false
                }
                ')' if self.open > 0 => {
                    self.open -= 1;
                    true
                }
                '(' | ')' | ']' => return Err(no(&format!("`{c}` has no partner"))),
                '*' | '+' | '?' if !self.has_atom => {
                    return Err(no(&format!("`{c}` repeats nothing")));
                }
                // `a*?` takes as little as it can; there is nothing else to repeat twice.
                '*' | '+' | '?' => {
                    characters.next_if_eq(&'?');
                    false
                }
                '|' | '^' | '$' => false,
                _ => true,
            }
        }
        if self.open == 0 { Ok(()) } else { Err(no("a bracket is not closed")) }
    }
}

fn no(why: &str) -> String {
    format!("is no regular expression: {why}")
}

/// Whether this can stand between `[` and `]`: characters, ranges of letters or digits, and `-` at the end.
fn is_class(text: &str) -> bool {
    let inner = text.strip_prefix('^').unwrap_or(text);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    let characters: Vec<char> = inner.chars().collect();
    let is_range = |before: Option<&char>, behind: Option<&char>| {
        before.zip(behind).is_some_and(|(a, z)| a <= z && a.is_ascii_alphanumeric() && z.is_ascii_alphanumeric())
    };
    let is_good = |(at, c): (usize, &char)| match c {
        '[' | '\\' => false,
        '-' => is_range(at.checked_sub(1).and_then(|at| characters.get(at)), characters.get(at + 1)),
        _ => true,
    };
    !characters.is_empty() && characters.iter().enumerate().all(is_good)
}

impl Rewrite {
    /// What requests are rewritten to.
    ///
    /// # Errors
    /// Why it is nothing of that kind.
    pub fn new(text: &str) -> Result<Self, String> {
        begins(text)?;
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            match c {
                // A further digit would be text for the reader, and a part of the number for nginx.
                '$' if characters.next().is_some_and(|digit| ('1'..='9').contains(&digit)) => {}
                '$' => return Err("has a `$` without the number of a group, such as $1".to_owned()),
                c if c.is_ascii_alphanumeric() || PLAIN.contains(c) => {}
                c => return Err(format!("is no path to rewrite to: it may not have {c:?} in it")),
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl PathType {
    /// The types with their names.
    pub const ALL: [(&str, Self); 3] =
        [("Exact", Self::Exact), ("Prefix", Self::Prefix), ("ImplementationSpecific", Self::ImplementationSpecific)];
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
