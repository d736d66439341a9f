//! What network policies say: who may reach whom, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::lines::{WIDTH, fitted, printable};
use crate::check::{PairResult, Report};
use crate::lab::{Direction, Family, Lab, NetworkPolicy, PortProtocol};
use crate::policies::{Free, Layer, Matrix, PortsOf, Reach, Row, Side, Verdict};

/// More lines than that are no matrix that anybody reads.
const MOST_LINES: usize = 1000;

/// So many pods of a row are named.
const MOST_PODS: usize = 12;

/// Who may reach whom, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyView {
    /// The lab's name.
    lab: String,
    /// The policies that are enforced, as `NAMESPACE/NAME`.
    policies: Vec<String>,
    /// Those that are not.
    not_enforced: Vec<String>,
    /// The pods of each row, by its name: the first of those of which policies say the same, or the value of a label.
    rows: BTreeMap<String, Vec<String>>,
    /// What is allowed, for some ports each; together they have all ports of TCP, UDP and SCTP.
    layers: Vec<LayerView>,
    /// With `--prove`: the pairs of which probes say something else; null without.
    differences: Option<Vec<DifferenceView>>,
}

/// What is allowed at some ports.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LayerView {
    /// The ports, such as `tcp 80-90`; where it matters, with the family: `tcp 80 (IPv6)`.
    ports: Vec<String>,
    /// By the row of the sender, the rows that it may reach; a pod alone reaches itself.
    allowed: BTreeMap<String, Vec<String>>,
    /// Likewise, the rows some of whose pods are reached, or by some of its own only.
    partly: BTreeMap<String, Vec<String>>,
}

/// A pair that does otherwise than the policies say.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DifferenceView {
    /// The pod that sent.
    from: String,
    /// The pod that was to get it.
    to: String,
    /// What was sent, such as `tcp/80`.
    protocol: String,
    /// The address.
    address: String,
    /// What was expected, and what happened instead.
    what: String,
}

/// What policies say about one connection, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VerdictView {
    /// Where it comes from.
    from: String,
    /// Where it goes.
    to: String,
    /// The port with its protocol, such as `tcp/80`.
    port: String,
    /// Whether it is allowed, over each family that both have.
    allowed: bool,
    /// What is said over each of them.
    families: Vec<FamilyView>,
}

/// What policies say about one connection over a family.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FamilyView {
    /// `IPv4` or `IPv6`.
    family: &'static str,
    /// Whether it is allowed.
    allowed: bool,
    /// Whether its sender may send it.
    egress: SideView,
    /// Whether its receiver may get it.
    ingress: SideView,
}

/// What policies say about one side of a connection.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SideView {
    /// Whether they allow it.
    allowed: bool,
    /// The policy whose rule allows it; or those that isolate the pod. None: no policy has a say.
    policies: Vec<String>,
    /// The rule that allows it, counted from 1.
    rule: Option<usize>,
}

impl PolicyView {
    /// Of a lab; with what probes say, if they were made.
    pub fn new(lab: &Lab, matrix: &Matrix<'_>, proof: Option<&Report>) -> Self {
        let names = |is_enforced: bool| {
            let of = lab.network_policies.policies.iter().filter(move |policy| policy.is_enforced == is_enforced);
            of.map(NetworkPolicy::full_name).collect()
        };
        let families = families(matrix);
        let layer = |layer: &Layer| LayerView {
            ports: titles(&layer.ports, &families),
            allowed: reached(matrix, layer, Reach::Allowed),
            partly: reached(matrix, layer, Reach::Partly),
        };
        let rows = matrix.rows.iter().map(|row| (row.name.clone(), row.pods.iter().map(ToString::to_string).collect()));
        Self {
            lab: lab.name.to_string(),
            policies: names(true),
            not_enforced: names(false),
            rows: rows.collect(),
            layers: matrix.layers.iter().map(layer).collect(),
            differences: proof.map(|report| failures(report).map(DifferenceView::of).collect()),
        }
    }
}

fn reached(matrix: &Matrix<'_>, layer: &Layer, wanted: Reach) -> BTreeMap<String, Vec<String>> {
    let row = |(from, cells): (&Row<'_>, &Vec<Option<Reach>>)| {
        let all = matrix.rows.iter().zip(cells).filter(|(_, reach)| **reach == Some(wanted));
        (from.name.clone(), all.map(|(to, _)| to.name.clone()).collect())
    };
    matrix.rows.iter().zip(&layer.allowed).map(row).collect()
}

fn name_of(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

fn failures(report: &Report) -> impl Iterator<Item = &PairResult> {
    report.checks.iter().flat_map(|check| &check.pairs).filter(|pair| !pair.passed)
}

impl DifferenceView {
    fn of(pair: &PairResult) -> Self {
        Self {
            from: pair.from.to_string(),
            to: pair.to.clone(),
            protocol: pair.protocol.clone(),
            address: pair.address.map_or_else(String::new, |address| address.to_string()),
            what: pair.failure.clone().unwrap_or_default(),
        }
    }
}

impl VerdictView {
    /// Of one connection, in the user's words.
    pub fn new((from, to, port): (&str, &str, &str), verdicts: &[(Family, Verdict<'_>)]) -> Self {
        let family = |(family, verdict): &(Family, Verdict<'_>)| FamilyView {
            family: name_of(*family),
            allowed: verdict.allows(),
            egress: SideView::of(&verdict.egress),
            ingress: SideView::of(&verdict.ingress),
        };
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            port: port.to_owned(),
            allowed: verdicts.iter().all(|(_, verdict)| verdict.allows()),
            families: verdicts.iter().map(family).collect(),
        }
    }
}

impl SideView {
    fn of(side: &Side<'_>) -> Self {
        match side {
            Side::Free(_) => Self { allowed: true, policies: Vec::new(), rule: None },
            Side::Allowed { policy, rule } => {
                Self { allowed: true, policies: vec![policy.full_name()], rule: Some(rule + 1) }
            }
            Side::Isolated(policies) => {
                let policies = policies.iter().map(|policy| policy.full_name()).collect();
                Self { allowed: false, policies, rule: None }
            }
        }
    }
}

/// Who may reach whom: a matrix for all ports that policies do not tell apart.
pub fn policies(lab: &Lab, matrix: &Matrix<'_>, proof: Option<&Report>) -> String {
    let mut text = String::new();
    let all = &lab.network_policies.policies;
    for policy in all.iter().filter(|policy| !policy.is_enforced) {
        let _ = writeln!(text, "{} is not enforced\n", policy.with_line());
    }
    if all.is_empty() {
        text.push_str("there are no policies: everything is allowed\n");
        return text;
    }
    if matrix.rows.is_empty() {
        text.push_str("there are no pods: no namespace has an address in the `pods` of a node's `network_policies`\n");
        return text;
    }
    let (rows, layers) = (matrix.rows.len(), matrix.layers.len());
    if rows.saturating_mul(layers) > MOST_LINES {
        let said = format!(
            "{rows} rows for {layers} groups of ports are too many to be shown: take pods together with `--by LABEL`, \
             ask about two of them with FROM TO PORT, or take it all with `--format json`"
        );
        text += &fitted(&said, 0, 0, WIDTH);
    } else {
        text += &self::layers(matrix);
    }
    if let Some(report) = proof {
        text += &proved(report);
    }
    text
}

fn layers(matrix: &Matrix<'_>) -> String {
    let mut text = String::new();
    let families = families(matrix);
    for layer in &matrix.layers {
        text += &fitted(&titles(&layer.ports, &families).join(", "), 0, 2, WIDTH);
        text += &grid(matrix, layer);
        text.push('\n');
    }
    let several: Vec<&Row<'_>> = matrix.rows.iter().filter(|row| row.pods.len() > 1 || row.is_label()).collect();
    for row in &several {
        let mut pods: Vec<&str> = row.pods.iter().take(MOST_PODS).map(|pod| pod.as_str()).collect();
        let more = row.pods.len().checked_sub(MOST_PODS).filter(|more| *more > 0).map(|more| format!("{more} more"));
        pods.extend(more.as_deref());
        text += &fitted(&format!("{}: {}", title(row), pods.join(", ")), 0, 2, WIDTH);
    }
    if !several.is_empty() {
        text.push('\n');
    }
    let some =
        matrix.layers.iter().any(|layer| layer.allowed.iter().flatten().any(|cell| *cell == Some(Reach::Partly)));
    let some = if some { ", ~ some of them" } else { "" };
    let legend = format!("down: who sends; across: who gets it. ✓ allowed, ✗ forbidden{some}, · the same pod");
    text + &fitted(&legend, 0, 0, WIDTH)
}

/// What a row is called: with how many pods, if they are several.
fn title(row: &Row<'_>) -> String {
    match row.pods.len() {
        1 => row.name.clone(),
        many if row.is_label() => format!("{} ({many})", row.name),
        many => format!("{} +{}", row.name, many - 1),
    }
}

fn proved(report: &Report) -> String {
    let pairs = report.pairs();
    if report.passed() {
        return format!("proved by {pairs} probes over TCP and UDP: the network does just that\n");
    }
    let mut text = format!("{} of {pairs} probes say something else:\n", failures(report).count());
    for pair in failures(report) {
        let what = pair.failure.as_deref().unwrap_or_default();
        text += &fitted(&format!("✗ {} → {} ({}): {what}", pair.from, pair.to, pair.protocol), 2, 4, WIDTH);
    }
    text.extend(report.hints.iter().map(|hint| fitted(&format!("hint: {}", printable(hint)), 0, 2, WIDTH)));
    text
}

/// The families of addresses that pods have.
fn families(matrix: &Matrix<'_>) -> BTreeSet<Family> {
    matrix.layers.iter().flat_map(|layer| &layer.ports).map(|ports| ports.family).collect()
}

/// The ports in words, neighbouring ranges as one; families are named only where they differ.
fn titles(ports: &[PortsOf], families: &BTreeSet<Family>) -> Vec<String> {
    let mut of: BTreeMap<(PortProtocol, u16, u16), BTreeSet<Family>> = BTreeMap::new();
    for own in ports {
        of.entry((own.protocol, own.first, own.last)).or_default().insert(own.family);
    }
    let title = |((protocol, first, last), own): ((PortProtocol, u16, u16), BTreeSet<Family>)| {
        let numbers = match (first, last) {
            (1, u16::MAX) => format!("all {protocol}"),
            _ if first == last => format!("{protocol} {first}"),
            _ => format!("{protocol} {first}-{last}"),
        };
        match own.first() {
            Some(Family::Ipv4) if own != *families => format!("{numbers} (IPv4)"),
            Some(Family::Ipv6) if own != *families => format!("{numbers} (IPv6)"),
            _ => numbers,
        }
    };
    let mut joined: Vec<((PortProtocol, u16, u16), BTreeSet<Family>)> = Vec::new();
    for ((protocol, first, last), own) in of {
        match joined.last_mut() {
            Some(((before, _, end), of_these))
                if *before == protocol && end.checked_add(1) == Some(first) && *of_these == own =>
            {
                *end = last;
            }
            _ => joined.push(((protocol, first, last), own)),
        }
    }
    joined.into_iter().map(title).collect()
}

/// A matrix with numbers for its columns, in as many parts as the width asks for.
fn grid(matrix: &Matrix<'_>, layer: &Layer) -> String {
    let count = matrix.rows.len();
    let titles: Vec<String> = matrix.rows.iter().map(title).collect();
    let places = count.to_string().len();
    let longest = titles.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let label = places + 1 + longest;
    let columns: Vec<usize> = (0..count).collect();
    let fit = (WIDTH.saturating_sub(label + 2) / (places + 1)).max(1);
    let mut text = String::new();
    for part in columns.chunks(fit) {
        let numbers: String = part.iter().map(|column| format!(" {:>places$}", column + 1)).collect();
        let _ = writeln!(text, "  {:label$}{numbers}", "");
        for (row, (name, cells)) in titles.iter().zip(&layer.allowed).enumerate() {
            let _ = write!(text, "  {:>places$} {name:<longest$}", row + 1);
            for column in part {
                let cell = match cells.get(*column).copied().flatten() {
                    _ if *column == row && matrix.rows.get(row).is_some_and(|row| row.pods.len() == 1) => '·',
                    Some(Reach::Allowed) => '✓',
                    Some(Reach::Forbidden) => '✗',
                    Some(Reach::Partly) => '~',
                    None => ' ',
                };
                let _ = write!(text, " {cell:>places$}");
            }
            let trimmed = text.trim_end().len();
            text.truncate(trimmed);
            text.push('\n');
        }
    }
    text
}

/// What policies say about one connection, and why; over both families, where that differs.
pub fn verdict(words: (&str, &str, &str), verdicts: &[(Family, Verdict<'_>)]) -> String {
    match verdicts {
        [(_, one), rest @ ..] if rest.iter().all(|(_, other)| other == one) => of_one(words, "", one),
        _ => {
            let each = verdicts.iter().map(|(family, own)| of_one(words, &format!(" ({})", name_of(*family)), own));
            each.collect()
        }
    }
}

fn of_one((from, to, port): (&str, &str, &str), family: &str, verdict: &Verdict<'_>) -> String {
    let word = if verdict.allows() { "allowed" } else { "forbidden" };
    let mut text = format!("{from} → {to} {port}{family}: {word}\n");
    for (direction, name, side) in
        [(Direction::Egress, from, &verdict.egress), (Direction::Ingress, to, &verdict.ingress)]
    {
        text += &fitted(&format!("{direction} of {name}: {}", why(side, direction)), 2, 4, WIDTH);
    }
    text
}

/// Why one side of a connection is possible or not.
fn why(side: &Side<'_>, direction: Direction) -> String {
    match side {
        Side::Free(Free::NoPod) => "it is not a pod of the lab".to_owned(),
        Side::Free(Free::NotIsolated) => "no policy isolates it".to_owned(),
        Side::Free(Free::Itself) => "a pod is never cut off from itself".to_owned(),
        Side::Free(Free::OwnNode) => "a pod is never cut off from the node that it is on".to_owned(),
        Side::Allowed { policy, rule } => {
            format!("allowed by {}, rule {} of `{direction}`", policy.with_line(), rule + 1)
        }
        Side::Isolated(policies) => {
            let names = policies.iter().map(|policy| policy.with_line());
            let names: Vec<String> = names.collect();
            format!("isolated by {}, and no rule allows it", names.join(" and "))
        }
    }
}
