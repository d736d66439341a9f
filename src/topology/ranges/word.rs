//! Scale words: what may stand in braces, and what each becomes for one number of a range.
//!
//! `{1..100}` is a range, `{n}` its number, `{10 + n}` and `{n - 1}` are numbers beside it, `{10.0.0.0/16 + n}` and
//! `{10.0.0.0 + n}` addresses. Knows nothing of where in a file a word is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::topology::code::Code;
use crate::topology::diagnostics::{Diagnostic, Span};
use crate::topology::yaml::NODES;

/// How many digits an end of a range has at most: as many as the greatest number that it can have.
const DIGITS: usize = 10;

/// The numbers that a range counts through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: u32,
    last: u32,
    /// How many digits each number has at least.
    width: usize,
}

/// One number of a range.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    number: u32,
    width: usize,
}

/// A part of a text.
pub enum Piece<'t> {
    /// What is outside of braces.
    Text(&'t str),
    Range(Range),
    /// `{n}`
    Count,
    /// `{START + n}`
    Sum(Start),
    /// `{n - LESS}`
    Difference(u32),
}

/// What a sum begins with.
#[derive(Clone, Copy)]
pub enum Start {
    Number(u32),
    Address(IpAddr),
    /// An address and the subnet that the sum may not leave.
    Subnet(IpNet),
}

impl Range {
    /// Its numbers, in order.
    pub fn counts(self) -> impl Iterator<Item = Count> {
        (self.first..=self.last).map(move |number| Count { number, width: self.width })
    }
}

/// Whether a text has to be read: all others are themselves.
pub fn has_braces(text: &str) -> bool {
    text.contains(['{', '}'])
}

/// Takes a text apart. Braces that hold no scale word are a fault, which is found at `span`.
pub fn read(text: &str, span: Span) -> Result<Vec<Piece<'_>>, Diagnostic> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let unclosed = || Diagnostic::new(Code::BadRange, span, format!("unclosed brace in `{text}`")).help(known());
        let (word, behind) = behind.split_once('}').ok_or_else(unclosed)?;
        if before.contains('}') {
            break;
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(braced(word.trim(), span)?);
        rest = behind;
    }
    if rest.contains('}') {
        return Err(Diagnostic::new(Code::BadRange, span, format!("unmatched closing brace in `{text}`")).help(known()));
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// A text in which the number of a range is spelled, and all other braces are left as they are.
pub fn spell_counts(text: &str, count: Option<Count>, span: Span) -> String {
    let spelled = |word: &str| {
        let word = format!("{{{word}}}");
        let pieces = read(&word, span).ok().filter(|pieces| ranges(pieces).next().is_none())?;
        spell(&pieces, count, false, span).ok()
    };
    let (mut result, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        result += before;
        match behind.split_once('}').and_then(|(word, behind)| Some((spelled(word)?, behind))) {
            Some((number, behind)) => {
                result += &number;
                rest = behind;
            }
            None => {
                result.push('{');
                rest = behind;
            }
        }
    }
    result + rest
}

/// The ranges among the pieces of a text.
pub fn ranges(pieces: &[Piece<'_>]) -> impl Iterator<Item = Range> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Range(range) => Some(*range),
        _ => None,
    })
}

fn known() -> String {
    "in braces stand a range `{1..100}`, its number `{n}`, or a sum such as `{10 + n}` or `{10.0.0.0/16 + n}`"
        .to_owned()
}

fn braced(word: &str, span: Span) -> Result<Piece<'_>, Diagnostic> {
    if word == "n" {
        return Ok(Piece::Count);
    }
    if let Some((first, last)) = word.split_once("..") {
        return range(first.trim(), last.trim(), span).map(Piece::Range);
    }
    let sum = word.split_once('+').map(|(a, b)| (a.trim(), b.trim()));
    let difference = word.split_once('-').map(|(a, b)| (a.trim(), b.trim()));
    match (sum, difference) {
        (Some((start, "n") | ("n", start)), _) => match Start::read(start) {
            Some(start) => Ok(Piece::Sum(start)),
            None => {
                let message = format!("`{{{word}}}`: `{start}` is not a number, address or subnet");
                Err(Diagnostic::new(Code::BadRange, span, message).help(known()))
            }
        },
        (None, Some(("n", less))) if number(less).is_some() => Ok(Piece::Difference(number(less).unwrap_or_default())),
        _ => {
            Err(Diagnostic::new(Code::BadRange, span, format!("`{{{word}}}` is not a range or a counter"))
                .help(known()))
        }
    }
}

fn range(first: &str, last: &str, span: Span) -> Result<Range, Diagnostic> {
    let word = format!("`{{{first}..{last}}}`");
    if [first, last].iter().any(|end| end.is_empty() || end.bytes().any(|byte| !byte.is_ascii_digit())) {
        let message = format!("{word} is not a range: it counts up from one whole number to another, from 0");
        return Err(Diagnostic::new(Code::BadRange, span, message)
            .help("such as `{1..100}`, or `{01..10}` for 01, 02, 03 …".to_owned()));
    }
    if first.len().max(last.len()) > DIGITS {
        return Err(Diagnostic::new(
            Code::BadRange,
            span,
            format!("the ends of a range have at most {DIGITS} digits: {word}"),
        ));
    }
    // An end that no number holds is far behind the limit.
    let end = |text: &str| number(text).unwrap_or(u32::MAX);
    let (from, to) = (end(first), end(last));
    if from > to {
        let message = format!("the range {word} ends before it begins");
        return Err(Diagnostic::new(Code::BadRange, span, message).help(format!("write `{{{last}..{first}}}`")));
    }
    if (to - from) as usize >= NODES || number(last).is_none() {
        return Err(Diagnostic::new(Code::TooMany, span, format!("more than {NODES} numbers are in the range {word}")));
    }
    let padded = [first, last].iter().any(|end| end.len() > 1 && end.starts_with('0'));
    let width = if padded { first.len().max(last.len()) } else { 0 };
    Ok(Range { first: from, last: to, width })
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Start {
    fn read(text: &str) -> Option<Self> {
        let address = || text.parse().ok().map(Self::Address);
        let subnet = || text.parse().ok().map(Self::Subnet);
        number(text).map(Self::Number).or_else(address).or_else(subnet)
    }
}

/// The text for one number; without one, or with a range that counts nothing (`counted` is false), it has none.
pub fn spell(pieces: &[Piece<'_>], count: Option<Count>, counted: bool, span: Span) -> Result<String, Diagnostic> {
    let mut text = String::new();
    for piece in pieces {
        match (piece, count) {
            (Piece::Text(part), _) => text += part,
            (Piece::Range(_), None) => return Err(out_of_place(span)),
            (Piece::Range(_), Some(_)) if !counted => return Err(out_of_place(span)),
            (Piece::Range(_) | Piece::Count, Some(Count { number, width })) => text += &format!("{number:0width$}"),
            (Piece::Sum(start), Some(count)) => text += &sum(*start, count.number, span)?,
            (Piece::Difference(less), Some(Count { number, .. })) => match number.checked_sub(*less) {
                Some(difference) => text += &difference.to_string(),
                None => {
                    return Err(Diagnostic::new(
                        Code::NumberOutOfRange,
                        span,
                        format!("`{{n - {less}}}` is below 0 where n is {number}"),
                    ));
                }
            },
            (Piece::Count | Piece::Sum(_) | Piece::Difference(_), None) => {
                let help = "it is the number of the range around it, such as `h{1..100}` as the name of a namespace";
                return Err(Diagnostic::new(Code::NoRange, span, "there is no range here for `n` to count")
                    .help(help.to_owned()));
            }
        }
    }
    Ok(text)
}

fn out_of_place(span: Span) -> Diagnostic {
    let message = "a range makes many entries of a list, or of a map of names; here is a single value";
    Diagnostic::new(Code::RangeNotAllowed, span, message)
        .help("in a namespace or an interface with a range in its name, `{n}` counts".to_owned())
}

/// `{START + n}`.
fn sum(start: Start, n: u32, span: Span) -> Result<String, Diagnostic> {
    let beyond = |what: String| Diagnostic::new(Code::NumberOutOfRange, span, format!("{what} where n is {n}"));
    match start {
        Start::Number(start) => match start.checked_add(n) {
            Some(sum) => Ok(sum.to_string()),
            None => Err(beyond(format!("`{{{start} + n}}` is more than {}", u32::MAX))),
        },
        Start::Address(start) => match plus(start, n) {
            Some(sum) => Ok(sum.to_string()),
            None => Err(beyond(format!("`{{{start} + n}}` is beyond the last address"))),
        },
        Start::Subnet(start) => {
            let net = start.trunc();
            let sum = plus(start.addr(), n).filter(|sum| net.contains(sum));
            let Some(sum) = sum else {
                return Err(beyond(format!("`{{{start} + n}}` leaves the subnet {net}")));
            };
            // A subnet of one or two addresses has neither (RFC 3021, RFC 6164).
            let roomy = net.max_prefix_len() - net.prefix_len() > 1;
            if roomy && sum == net.network() {
                return Err(beyond(format!("`{{{start} + n}}` is the address of the subnet {net} itself")));
            }
            if roomy && net.network().is_ipv4() && sum == net.broadcast() {
                return Err(beyond(format!("`{{{start} + n}}` is the broadcast address of {net}")));
            }
            Ok(format!("{sum}/{}", net.prefix_len()))
        }
    }
}

fn plus(address: IpAddr, n: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_add(n).map(|sum| Ipv4Addr::from(sum).into()),
        IpAddr::V6(address) => u128::from(address).checked_add(n.into()).map(|sum| Ipv6Addr::from(sum).into()),
    }
}
