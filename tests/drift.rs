//! Whatever drifts is named by `plan` and fixed by `apply`, and a path that has nothing to do with it loses no packet.
//!
//! The cases are the rows of `tests/drift/table.yaml`: a kind of thing, how it was damaged, the damage as a shell line,
//! and what the plan must say. A row has the name `KIND-HOW` (`CASE=default-route-removed`). Those for kernels whose
//! bridges keep VLANs apart have a lab and a table of their own.

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Child, Command, Stdio};

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

/// The rows of a table by their names, each with the lab that is damaged.
fn rows(table: &str, lab: &'static str) -> Vec<(String, (Row, &'static str))> {
    let rows = std::fs::read_to_string(project("tests/drift").join(table)).unwrap();
    let rows: Vec<Row> = serde_saphyr::from_str(&rows).unwrap();
    rows.into_iter().map(|row| (row.name(), (row, lab))).collect()
}

#[test]
fn drift_is_named_and_fixed_or_the_lab_refused() {
    let mut cases = rows("table.yaml", "lab.yaml");
    cases.extend(rows("vlans-table.yaml", "vlans-lab.yaml"));
    let names: BTreeSet<&String> = cases.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), cases.len(), "two rows have the same kind and the same damage");
    golden::run("tests/drift", &cases, |_, (row, lab)| {
        sandbox();
        let file = project("tests/drift").join(lab).display().to_string();
        let able = *lab == "lab.yaml"
            || sh("ip link add name try0 type bridge vlan_filtering 1; ip link del try0").status.success();
        let outcome = if able { fix(row, &file) } else { refused(&file) };
        outcome.map_err(|why| format!("{}\n{why}", row.damage))
    });
}

/// A kernel whose bridges cannot keep VLANs apart has nothing to damage: it must say so.
fn refused(file: &str) -> Result<(), String> {
    let refused = nslab(["apply", file]);
    let said = text(&refused);
    let clear = refused.status.code() == Some(3) && said.contains("this kernel has no VLAN filtering of bridges");
    if clear { Ok(()) } else { Err(said) }
}

fn fix(row: &Row, file: &str) -> Result<(), String> {
    let before = host_account();
    let nslab = |args: &[&str], code: i32| {
        let output = nslab(args);
        let said = text(&output);
        if output.status.code() == Some(code) {
            Ok(said)
        } else {
            Err(format!("nslab {args:?} ended with {}: {said}", output.status))
        }
    };
    nslab(&["apply", file], 0)?;
    nslab(&["plan", "--exit-code", file], 0)?;
    let indexes = run(INDEXES);
    let stream = (!row.noisy).then(Stream::start);
    run(&row.damage);
    let plan = nslab(&["plan", "--exit-code", file], 1)?;
    if !plan.contains(&row.plan) {
        return Err(format!("the plan does not say {:?}, but:\n{plan}", row.plan));
    }
    nslab(&["apply", file], 0)?;
    nslab(&["plan", "--exit-code", file], 0)?;
    if let Some(stream) = stream {
        let summary = stream.stop();
        if !summary.contains(" 0% packet loss") {
            return Err(format!("packets were lost on a path that was not damaged: {summary}"));
        }
        if run(INDEXES) != indexes {
            return Err("an interface that was not damaged is another one now".to_owned());
        }
    }
    nslab(&["check", file], 0)?;
    nslab(&["destroy", "drift"], 0)?;
    let after = host_account();
    if after == before { Ok(()) } else { Err(format!("the host is not what it was:\n{}", before.difference(&after))) }
}

/// A packet every ten milliseconds across the calm path, until it is stopped or dropped.
struct Stream(Child);

impl Stream {
    fn start() -> Self {
        run("ip netns exec calm1 ping -c1 -W2 10.77.0.102");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "calm1", "ping", "-i", "0.01", "-q", "10.77.0.102"]).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn interrupt(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        // It may have ended by itself.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
    }

    /// Stops it; what it counted.
    fn stop(mut self) -> String {
        self.interrupt();
        let mut summary = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
        summary
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.interrupt();
        let _ = self.0.wait();
    }
}
