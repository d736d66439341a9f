//! One namespace for people, within the width of a terminal.

use super::view::{
    ChainView, ForwardingView, InterfaceDetailView, NamespaceStatusView, RouteView, RuleView, StateView,
};
use crate::lab::{LOCAL_TABLE, MAIN_TABLE};
use crate::show::lines::{fitted, printable};

/// How far the lines of a section are indented.
const INDENT: usize = 2;

/// A namespace for people, in lines of at most `width` columns.
pub fn namespace(view: &NamespaceStatusView, width: usize) -> String {
    let head = format!("{} of lab {}: {}\n", view.namespace, view.lab, view.forwarding.words());
    let missing = view.missing_rules.iter().map(|rule| row(&[family(rule.ipv6), "missing:", &rule.rule], &[4, 8]));
    let rules = view.rules.iter().map(RuleView::line).chain(missing);
    let neighbours: Vec<[&str; 4]> = view
        .neighbours
        .iter()
        .map(|own| [&*own.address, &*own.interface, own.mac.as_deref().unwrap_or("-"), own.state.word()])
        .collect();
    let processes = view.processes.iter().map(|process| Line::of(format!("{} {}", process.pid, process.command), 0));
    let mut sections = vec![
        ("Interfaces", interfaces(&view.interfaces)),
        ("Routes", routes(&view.routes)),
        ("Policy rules, besides the kernel's own", rules.collect()),
        ("Neighbours", columns(&neighbours)),
        ("NAT: packets, bytes, rule", chains(&view.nat)),
        ("Filter: packets, bytes, rule", chains(&view.filter)),
    ];
    if !view.other.is_empty() {
        let other = |text: &String| match view.tables.contains(text) {
            true => Line::of(format!("{text}: `nft list table {text}` shows it"), INDENT),
            false => Line::of(text.clone(), INDENT),
        };
        sections.push(("Other", view.other.iter().map(other).collect()));
    }
    if view.namespace != "host" {
        sections.push(("Processes", processes.collect()));
    }
    if !view.unread.is_empty() {
        sections.push(("Not known", view.unread.iter().map(|why| Line::of(why.replace('\n', "; "), INDENT)).collect()));
    }
    fitted(&head, 0, 0, width) + &sections.iter().map(|(title, lines)| section(title, lines, width)).collect::<String>()
}

/// A line of a section, and how far it is indented where it goes on.
struct Line {
    text: String,
    hang: usize,
}

impl Line {
    fn of(text: String, hang: usize) -> Self {
        Self { text: printable(&text), hang }
    }
}

fn section(title: &str, lines: &[Line], width: usize) -> String {
    let mut text = format!("\n{title}\n");
    if lines.is_empty() {
        text += "  none\n";
    }
    for line in lines {
        text += &fitted(&line.text, INDENT, INDENT + line.hang, width);
    }
    text
}

/// Cells side by side, in columns of given widths; the last has none.
fn row(cells: &[&str], widths: &[usize]) -> Line {
    let mut text = String::new();
    let mut hang = 0;
    for (at, cell) in cells.iter().enumerate() {
        match widths.get(at) {
            Some(&width) => {
                text += &format!("{cell:<width$}  ");
                hang += width + 2;
            }
            None => text += cell,
        }
    }
    Line::of(text, hang)
}

/// Rows in columns as wide as their cells.
fn columns<const N: usize>(rows: &[[&str; N]]) -> Vec<Line> {
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..N.saturating_sub(1)).map(|column| widest(column).unwrap_or_default()).collect();
    rows.iter().map(|cells| row(cells, &widths)).collect()
}

fn interfaces(all: &[InterfaceDetailView]) -> Vec<Line> {
    let mtus: Vec<String> = all.iter().map(|own| own.interface.mtu_in_words()).collect();
    let rows: Vec<[&str; 4]> = all
        .iter()
        .zip(&mtus)
        .map(|(own, mtu)| [&*own.interface.name, &*own.interface.kind, own.state.words(), mtu.as_str()])
        .collect();
    let names = rows.iter().map(|[name, ..]| name.chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for (own, line) in all.iter().zip(columns(&rows)) {
        lines.push(line);
        let more = [own.interface.connections(), own.interface.addresses.join(" ")];
        lines.extend(more.iter().filter(|text| !text.is_empty()).map(|text| row(&["", text.as_str()], &[names])));
    }
    lines
}

fn routes(all: &[RouteView]) -> Vec<Line> {
    let tables: Vec<String> = all.iter().map(RouteView::table_name).collect();
    let texts: Vec<String> =
        all.iter().map(|own| format!("{}{}", own.route, if own.by_kernel { " (by the kernel)" } else { "" })).collect();
    let rows: Vec<[&str; 2]> = tables.iter().zip(&texts).map(|(table, text)| [table.as_str(), text.as_str()]).collect();
    columns(&rows)
}

/// Chains that do anything: with rules, or with another policy than to accept.
fn chains(all: &[ChainView]) -> Vec<Line> {
    let mut lines = Vec::new();
    for chain in all.iter().filter(|chain| !chain.rules.is_empty() || chain.policy.as_deref() == Some("DROP")) {
        lines.push(Line::of(format!("{} of {}", chain.chain, family(chain.ipv6)), 0));
        let rules = chain.rules.iter();
        let rules = rules.map(|rule| [rule.packets.to_string(), rule.bytes.to_string(), rule.rule.clone()]);
        // Over nf_tables, iptables does not count what no rule matches, and says 0.
        let count = |counter: u64| if counter == 0 { "-".to_owned() } else { counter.to_string() };
        let end = chain.policy.iter();
        let end = end.map(|policy| [count(chain.packets), count(chain.bytes), format!("otherwise {policy}")]);
        let counted: Vec<[String; 3]> = rules.chain(end).collect();
        let widest = |column: usize| counted.iter().filter_map(|cells| cells.get(column)).map(String::len).max();
        let (packets, bytes) = (widest(0).unwrap_or_default(), widest(1).unwrap_or_default());
        lines.extend(counted.iter().map(|[seen, size, text]| {
            Line::of(format!("  {seen:>packets$}  {size:>bytes$}  {text}"), packets + bytes + 6)
        }));
    }
    lines
}

fn family(ipv6: bool) -> &'static str {
    if ipv6 { "IPv6" } else { "IPv4" }
}

impl ForwardingView {
    fn words(&self) -> &'static str {
        match (self.ipv4.unwrap_or_default(), self.ipv6.unwrap_or_default()) {
            (true, true) => "forwards IPv4 and IPv6",
            (true, false) => "forwards IPv4, not IPv6",
            (false, true) => "forwards IPv6, not IPv4",
            (false, false) => "forwards nothing",
        }
    }
}

impl StateView {
    fn words(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::NoCarrier => "no carrier",
            Self::Blocking => "blocking",
            Self::NotForwarding => "not forwarding",
            Self::Up => "up",
        }
    }
}

impl RouteView {
    fn table_name(&self) -> String {
        match self.table {
            Some(MAIN_TABLE) => "main".to_owned(),
            Some(LOCAL_TABLE) => "local".to_owned(),
            Some(table) => table.to_string(),
            None => "-".to_owned(),
        }
    }
}

impl RuleView {
    fn line(&self) -> Line {
        row(&[family(self.ipv6), &self.rule], &[4])
    }
}
