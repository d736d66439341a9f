//! What the rules of a host are in nginx: its locations, as ingress-nginx makes them (`updateServerLocations`,
//! `buildLocation`).

use std::cmp::Reverse;
use std::collections::HashSet;

use super::path::PathType;
use super::site::{Backend, Rule, Site};

/// A location of nginx.
pub(super) struct Location<'s> {
    /// What stands behind the word `location`.
    pub(super) matcher: String,
    /// Who answers; none: the status 404.
    pub(super) backend: Option<&'s Backend>,
    /// The rule that it comes from; none: it is for what no rule takes.
    pub(super) rule: Option<&'s Rule>,
}

/// The locations of a host.
pub(super) fn of(site: &Site) -> Vec<Location<'_>> {
    let exact: HashSet<&str> =
        site.rules.iter().filter(|rule| rule.kind == PathType::Exact).map(|rule| rule.path.as_str()).collect();
    // Whether the path has to be the same, the path, and the rule.
    let mut paths: Vec<(bool, String, &Rule)> = Vec::new();
    for rule in &site.rules {
        let is_as_written = rule.rewrite.is_some() || rule.use_regex;
        match rule.kind {
            PathType::Prefix if !is_as_written && rule.path.as_str() != "/" => {
                paths.push((false, rule.path.with_slash(), rule));
                let alone = rule.path.without_slash();
                if !exact.contains(alone) {
                    paths.push((true, alone.to_owned(), rule));
                }
            }
            kind => paths.push((kind == PathType::Exact, rule.path.as_str().to_owned(), rule)),
        }
    }
    let has_expressions = site.has_expressions();
    if has_expressions {
        // The first that matches counts: longer ones come first.
        paths.sort_by(|(_, a, _), (_, b, _)| Reverse((a.len(), a)).cmp(&Reverse((b.len(), b))));
    }
    let mut locations: Vec<Location<'_>> = Vec::new();
    let mut known = HashSet::new();
    for (is_exact, path, rule) in paths {
        let matcher = match (has_expressions, is_exact) {
            (true, _) => format!("~* \"^{path}\""),
            // nginx would lead the path without the slash there.
            (false, true) if path.len() > 1 && path.ends_with('/') => format!("~ \"^{}\\z\"", escaped(&path)),
            (false, true) => format!("= \"{path}\""),
            (false, false) => format!("\"{path}\""),
        };
        if known.insert(matcher.clone()) {
            locations.push(Location { matcher, backend: Some(&rule.backend), rule: Some(rule) });
        }
    }
    let everything = if has_expressions { "~* \"^/\"" } else { "\"/\"" };
    if known.insert(everything.to_owned()) {
        let backend = site.default.as_ref();
        locations.push(Location { matcher: everything.to_owned(), backend, rule: None });
    }
    locations
}

/// A path as a regular expression that is the path itself.
fn escaped(path: &str) -> String {
    path.replace('.', "\\.").replace('+', "\\+")
}
