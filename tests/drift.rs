//! Whatever drifts is named by `plan` and fixed by `apply`, and a path that has nothing to do with it loses no packet.
//!
//! The cases are the rows of `tests/drift/table.yaml`: a kind of thing, how it was damaged, the damage as a shell line,
//! and what the plan must say. A row has the name `KIND-HOW` (`CASE=default-route-removed`). What not every kernel has
//! is in labs and tables of its own: VLANs of ports, services, policies, some kinds of interfaces. What other programs
//! may have added, which a lab has no words for, is in a table of its own as well.

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use serde::Deserialize;
use support::{golden, host_account, nslab, project, run, sandbox, sh, text};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: String,
    how: String,
    damage: String,
    plan: String,
    /// The damage itself disturbs the calm path.
    #[serde(default)]
    noisy: bool,
}

impl Row {
    /// Its kind and what was done to it, as one word: `first-address-of-a-subnet-altered`.
    fn name(&self) -> String {
        let text = format!("{} {}", self.kind, self.how).to_lowercase();
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        words.join("-")
    }
}

/// The interface indexes of the calm path.
const INDEXES: &str = "ip -n calm1 -o link show dev eth0 | cut -d: -f1; ip -o link show dev h-calm1 | cut -d: -f1";

/// A lab with a table of what may be done to it.
struct Table {
    rows: &'static str,
    lab: &'static str,
    /// What has to work on a kernel that can have the lab.
    try_it: &'static str,
    /// What nslab says on any other.
    lacking: &'static str,
    /// Of how many rows an emulated machine has time for one.
    every: usize,
}

const TABLES: [Table; 10] = [
    Table { rows: "table.yaml", lab: "lab.yaml", try_it: "true", lacking: "", every: 80 },
    Table { rows: "foreign-table.yaml", lab: "lab.yaml", try_it: "true", lacking: "", every: 40 },
    Table { rows: "options-table.yaml", lab: "options-lab.yaml", try_it: "true", lacking: "", every: 80 },
    Table { rows: "programs-table.yaml", lab: "programs-lab.yaml", try_it: "true", lacking: "", every: 3 },
    Table {
        rows: "vlans-table.yaml",
        lab: "vlans-lab.yaml",
        try_it: "ip link add name try0 type bridge vlan_filtering 1",
        lacking: "VLAN filtering of bridges",
        every: 4,
    },
    Table {
        rows: "services-table.yaml",
        lab: "services-lab.yaml",
        try_it: "test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
        lacking: "iptables for packets that cross bridges",
        every: 8,
    },
    Table {
        rows: "services-nftables-table.yaml",
        lab: "services-nftables-lab.yaml",
        try_it: "test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
        lacking: "iptables for packets that cross bridges",
        every: 8,
    },
    Table {
        rows: "policies-table.yaml",
        lab: "policies-lab.yaml",
        try_it: "test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
        lacking: "iptables for packets that cross bridges",
        every: 16,
    },
    Table {
        rows: "services-dual-table.yaml",
        lab: "services-dual-lab.yaml",
        try_it: "test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
        lacking: "iptables for packets that cross bridges",
        every: 16,
    },
    Table {
        rows: "kinds-table.yaml",
        lab: "kinds-lab.yaml",
        try_it: "ip link add name try0 type vrf table 1; ip link add name try1 type dummy
                 ip link add name try2 type gre remote 192.0.2.1; ip link add name try3 type wireguard",
        lacking: "interfaces of the kind",
        every: 4,
    },
];

impl Table {
    /// Its rows by their names.
    fn rows(&self) -> Vec<(String, Row)> {
        let rows = std::fs::read_to_string(project("tests/drift").join(self.rows)).unwrap();
        let rows: Vec<Row> = serde_saphyr::from_str(&rows).unwrap();
        rows.into_iter().map(|row| (row.name(), row)).collect()
    }

    fn file(&self) -> String {
        project("tests/drift").join(self.lab).display().to_string()
    }

    fn is_possible(&self) -> bool {
        let tried = std::thread::scope(|scope| {
            let try_it = || {
                sandbox();
                sh(self.try_it).status.success()
            };
            scope.spawn(try_it).join()
        });
        tried.unwrap()
    }

    /// A kernel that cannot have the lab has nothing to damage: nslab must say so.
    fn refused(&self) -> Result<(), String> {
        let refused = nslab(["apply", &self.file()]);
        let said = text(&refused);
        let clear = refused.status.code() == Some(3) && said.contains(&format!("this kernel has no {}", self.lacking));
        if clear { Ok(()) } else { Err(said) }
    }
}

/// Seconds between two packets on the calm path. An emulated machine has no time for more.
static PACE: LazyLock<&str> = LazyLock::new(|| if std::env::var_os("NSLAB_PART").is_some() { "0.1" } else { "0.01" });

/// How many rows damage one lab, one after the other. The row that `CASE` names has a lab for itself.
const ROWS_OF_A_LAB: usize = 8;

/// Every row; or, with `NSLAB_PART` (see the steps of `kernel_netlink`), some of them, in one lab for each table.
#[test]
fn drift_is_named_and_fixed_or_the_lab_refused() {
    let part = std::env::var("NSLAB_PART").ok();
    let mut cases = Vec::new();
    for table in &TABLES {
        let rows = table.rows();
        let names: BTreeSet<&String> = rows.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), rows.len(), "two rows of {} have the same kind and the same damage", table.rows);
        let is_possible = table.is_possible();
        if let Some(part) = &part {
            let first = if part == "odd" { 0 } else { table.every / 4 };
            let rows = rows.into_iter().skip(first).step_by(table.every).map(|(_, row)| row).collect();
            cases.push((table.rows.replace(".yaml", ""), (table, is_possible, rows)));
        } else if std::env::var_os("CASE").is_some() {
            cases.extend(rows.into_iter().map(|(name, row)| (name, (table, is_possible, vec![row]))));
        } else {
            let mut rows = rows.into_iter().peekable();
            while let Some((first, _)) = rows.peek() {
                let name = format!("{first}-and-following");
                let rows = rows.by_ref().take(ROWS_OF_A_LAB).map(|(_, row)| row).collect();
                cases.push((name, (table, is_possible, rows)));
            }
        }
    }
    golden::run("tests/drift", &cases, |_, (table, is_possible, rows)| {
        sandbox();
        if *is_possible { fix(rows, &table.file()) } else { table.refused() }
    });
}

/// Applies a lab, damages and repairs it as each row says, and removes it.
fn fix(rows: &[Row], file: &str) -> Result<(), String> {
    let before = host_account();
    ends(&["apply", file], 0)?;
    ends(&["plan", "--exit-code", file], 0)?;
    let mut wrong = Vec::new();
    for row in rows {
        if let Err(why) = damage_and_fix(row, file) {
            wrong.push(format!("{}: {}\n{why}", row.name(), row.damage));
            // What the next row finds is what it would have found.
            ends(&["destroy", "drift"], 0)?;
            ends(&["apply", file], 0)?;
        }
    }
    if !wrong.is_empty() {
        return Err(wrong.join("\n"));
    }
    ends(&["check", file], 0)?;
    ends(&["destroy", "drift"], 0)?;
    let after = host_account();
    if after == before { Ok(()) } else { Err(format!("the host is not what it was:\n{}", before.difference(&after))) }
}

/// What nslab says, if it ends with this exit code.
fn ends(args: &[&str], code: i32) -> Result<String, String> {
    let output = nslab(args);
    let said = text(&output);
    if output.status.code() == Some(code) {
        Ok(said)
    } else {
        Err(format!("nslab {args:?} ended with {}: {said}", output.status))
    }
}

fn damage_and_fix(row: &Row, file: &str) -> Result<(), String> {
    let indexes = run(INDEXES);
    let stream = (!row.noisy).then(Stream::start);
    run(&row.damage);
    let plan = ends(&["plan", "--exit-code", file], 1)?;
    if !plan.contains(&row.plan) {
        return Err(format!("the plan does not say {:?}, but:\n{plan}", row.plan));
    }
    ends(&["apply", file], 0)?;
    ends(&["plan", "--exit-code", file], 0)?;
    if let Some(stream) = stream {
        let seen = stream.stop();
        if lost_any(&seen) {
            return Err(format!("packets were lost on a path that was not damaged: {seen}"));
        }
        if run(INDEXES) != indexes {
            return Err("an interface that was not damaged is another one now".to_owned());
        }
    }
    Ok(())
}

/// Whether an answer is missing in what `ping` printed. It may be stopped between its last packet and the answer to it,
/// which says nothing about the path.
fn lost_any(ping: &str) -> bool {
    let number = |line: &str, after: &str| -> Option<usize> {
        line.split_once(after)?.1.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
    };
    let answered: BTreeSet<usize> = ping.lines().filter_map(|line| number(line, "icmp_seq=")).collect();
    let sent = ping.lines().find(|line| line.contains("packets transmitted"));
    let sent = sent.and_then(|line| line.split(' ').next()?.parse::<usize>().ok()).unwrap_or(0);
    sent == 0 || (1..sent).any(|packet| !answered.contains(&packet))
}

/// A packet every now and then across the calm path, until it is stopped or dropped.
struct Stream(Child);

impl Stream {
    fn start() -> Self {
        run("ip netns exec calm1 ping -c1 -W2 10.77.0.102");
        let mut command = Command::new("ip");
        // No more than one is on its way at a time, and that one may be cut off by the end.
        command.args(["netns", "exec", "calm1", "ping", "-i", *PACE, "10.77.0.102"]).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn interrupt(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        // It may have ended by itself.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
    }

    /// Stops it; what it printed.
    fn stop(mut self) -> String {
        self.interrupt();
        let mut seen = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut seen).unwrap();
        seen
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.interrupt();
        let _ = self.0.wait();
    }
}
