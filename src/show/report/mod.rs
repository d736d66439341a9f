//! temporary
#![allow(missing_docs)]
use crate::check::Report;
pub fn table(r: &Report, _c: bool, _w: usize) -> String {
    let mut t = String::new();
    for c in &r.checks {
        for p in &c.pairs {
            t += &format!(
                "{} {} -> {} {} {:?} {:?}\n",
                if p.passed { "ok " } else { "NOT" },
                p.from,
                p.to,
                p.via,
                p.fault,
                p.seen_as
            );
        }
    }
    t
}
pub fn json(r: &Report) -> String {
    serde_json::to_string_pretty(r).unwrap_or_default()
}
pub fn junit(_r: &[Report]) -> String {
    String::new()
}
pub fn tap(_r: &[Report]) -> String {
    String::new()
}
