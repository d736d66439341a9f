//! Commands take a lab by its name, or by its file; a name that nothing has is a mistake of the command line.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use support::{nslab, run, sandbox, text};

const LAB: &str = "name: demo
namespaces:
  red: { interfaces: { eth0: { addresses: [10.0.0.1/24] } } }
  blue: { interfaces: { eth0: { addresses: [10.0.0.2/24] } } }
links: [[red/eth0, blue/eth0]]
checks:
  - { from: red, to: blue }
";

/// In an empty folder, with the lab applied from standard input.
fn applied() {
    sandbox();
    run(&format!("mkdir /run/work; cd /run/work; {} apply - <<'END'\n{LAB}END\n", env!("CARGO_BIN_EXE_nslab")));
}

/// What a command says in that folder, and its exit code.
#[track_caller]
fn says(args: &[&str], code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nslab"));
    let output: Output = command.args(args).current_dir("/run/work").output().unwrap();
    assert_eq!(output.status.code(), Some(code), "nslab {args:?}: {}", text(&output));
    text(&output)
}

#[test]
fn a_name_means_the_topology_as_applied() {
    applied();
    assert!(says(&["plan", "demo", "--exit-code"], 0).contains("nothing to do"));
    assert!(says(&["plan", "demo", "--expanded"], 0).contains("10.0.0.2/24"));
    assert!(says(&["check", "demo"], 0).contains("✓ red → blue"));
    assert!(says(&["status", "demo"], 0).contains("Drift: none"));
    assert!(says(&["exec", "demo", "red", "--", "ip", "addr"], 0).contains("10.0.0.1/24"));
    run("ip -n blue addr del 10.0.0.2/24 dev eth0");
    assert!(says(&["plan", "demo", "--exit-code"], 1).contains("give blue/eth0 the address 10.0.0.2/24"));
    let checked = says(&["check", "demo", "--format", "junit"], 1);
    assert!(checked.contains("file=\"/run/nslab/demo/topology.yaml\" line=\"7\""), "{checked}");
    let hint = "hint: the lab is one step away from what the file says: `nslab plan demo` shows";
    assert!(says(&["check", "demo"], 1).contains(hint));
}

#[test]
fn a_file_means_the_lab_that_it_describes() {
    applied();
    std::fs::write("/run/work/net.yaml", LAB).unwrap();
    assert!(says(&["status", "net.yaml"], 0).contains("demo: 2 namespaces"));
    assert!(says(&["exec", "./net.yaml", "blue", "--", "ip", "addr"], 0).contains("10.0.0.2/24"));
    // A file that is called like a lab is meant only where it cannot be anything else.
    std::fs::write("/run/work/demo", LAB.replace("demo", "other")).unwrap();
    assert!(says(&["plan", "demo"], 0).contains("demo: nothing to do"));
    assert!(says(&["plan", "./demo"], 0).contains("other: "));
    run("mv /run/work/demo /run/work/plain");
    assert!(says(&["plan", "plain"], 0).contains("other: "));
    assert!(says(&["destroy", "plain"], 0).contains("other: nothing to remove"));
    assert!(says(&["destroy", "net.yaml"], 0).contains("demo: "));
    assert!(!Path::new("/run/netns/red").exists());
}

#[test]
fn a_name_that_nothing_has_is_a_mistake() {
    applied();
    for args in [&["plan", "demi"][..], &["check", "demi"], &["status", "demi"], &["exec", "demi", "red", "--", "id"]] {
        let said = says(args, 2);
        assert!(said.contains("error: there is no lab `demi`; did you mean lab `demo`? [no-such-lab]"), "{said}");
    }
    run("touch /run/work/demi.yaml /run/work/far.yml");
    assert!(says(&["plan", "demi"], 2).contains("did you mean lab `demo` or the file `demi.yaml`?"));
    assert!(says(&["check", "far"], 2).contains("did you mean the file `far.yml`?"));
    assert!(says(&["status", "nothing-like-it"], 2).contains("`nslab list` shows the labs"));
    assert!(says(&["plan", "not a name\u{7}"], 2).contains("there is no lab `not a name\\u{7}`;"));
    let said = says(&["exec", "demo", "rde", "--", "id"], 2);
    assert!(said.contains("lab demo has no namespace rde; did you mean `red`? [no-such-namespace]"), "{said}");
    // To remove what is not there is done already.
    let said = says(&["destroy", "demi"], 0);
    assert!(
        said.contains("note: there is no lab `demi`; did you mean lab `demo`") && said.contains("nothing"),
        "{said}"
    );
    let tap = says(&["check", "demi", "--format", "tap"], 2);
    assert!(tap.contains("not ok 1 - demi: the checks can be run"), "{tap}");
}

#[test]
fn a_lab_whose_topology_is_lost_is_shown_and_not_compared() {
    applied();
    run("rm -r /run/nslab");
    assert!(says(&["status", "demo"], 0).contains("Drift: not known"));
    says(&["exec", "demo", "red", "--", "true"], 0);
    for command in ["plan", "check"] {
        let said = says(&[command, "demo"], 3);
        assert!(said.contains("is not kept; name its file instead [topology-not-kept]"), "{said}");
    }
    assert_eq!(nslab(["destroy", "demo"]).status.code(), Some(0));
}
