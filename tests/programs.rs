//! nslab starts other programs only where there is something for them to read or to change.

mod support;

use support::{ends, project, replace_programs, run, sandbox};

/// What a lab goes through; none of it changes anything in the end.
const LIFE: [(&str, i32); 5] = [("apply", 0), ("plan", 0), ("apply", 0), ("check", 0), ("destroy", 0)];

/// Puts programs in the place of iptables and its kin that leave a trace when they are started.
fn watch() {
    let programs =
        ["iptables", "ip6tables"].map(|name| [name.to_owned(), format!("{name}-save"), format!("{name}-restore")]);
    let names: Vec<&str> = programs.as_flattened().iter().map(String::as_str).collect();
    replace_programs(&names, "echo \"$0 $*\" >> /run/started; exec $real \"$@\"");
}

fn started() -> String {
    let started = run("cat /run/started 2>/dev/null || true; rm -f /run/started");
    // What stands in the place of iptables is no link that says which variant it is.
    started.lines().filter(|line| !line.ends_with(" --version")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_lab_without_a_firewall_starts_none() {
    sandbox();
    watch();
    let file = project("topologies/01-veth.yaml").display().to_string();
    let live = || LIFE.map(|(command, code)| ends(&[command, &file], code));
    live();
    assert_eq!(started(), "", "on a bare host");
    // Rules of others, and those of another lab, are nobody's business.
    run("iptables -t nat -A POSTROUTING -s 10.250.0.0/16 -j MASQUERADE; ip6tables -A FORWARD -j ACCEPT");
    let other = "name: other\nnamespaces:\n  host:\n    nat: [{ masquerade: { source: 10.9.0.0/16 } }]\n";
    std::fs::write("/run/other.yaml", other).unwrap();
    ends(&["apply", "/run/other.yaml"], 0);
    assert_ne!(started(), "", "the programs that leave a trace were not used");
    live();
    assert_eq!(started(), "", "on a host with rules of others");
    ends(&["plan", "/run/other.yaml", "--exit-code"], 0);
    assert_ne!(started(), "", "rules that are wanted are compared");
    ends(&["destroy", "other"], 0);
    run("umount /usr/sbin /run/real; rm -r /run/sbin /run/real /run/other.yaml");
}
