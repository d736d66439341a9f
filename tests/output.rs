//! What a command leaves behind for others: its output, its words, the limits of what it starts.

#![allow(clippy::expect_used)] // A test that cannot go on says so by panicking.

mod support;

use support::{run, sandbox, sh, text};

/// nslab, for a shell's command line.
const NSLAB: &str = env!("CARGO_BIN_EXE_nslab");

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    sandbox();
    for command in ["init -", "schema", "commands examples/first.yaml", "list --format json", "completions bash"] {
        let command = command.replace("examples/first.yaml", "/run/lab.yaml");
        run("printf 'name: a\\nnamespaces:\\n  red: {}\\n' > /run/lab.yaml");
        let full = sh(&format!("{NSLAB} {command} > /dev/full"));
        assert_eq!(full.status.code(), Some(3), "{command}: {}", text(&full));
        assert!(text(&full).contains("No space left on device"), "{command}: {}", text(&full));
    }
    // Who has read enough is nobody's failure.
    let gone = sh(&format!("( sleep 0.2; {NSLAB} schema; echo code $? >&2 ) | true"));
    assert!(text(&gone).contains("code 0"), "{}", text(&gone));
}

/// Of each command that the help names, and of none that it hides.
#[test]
fn there_is_a_manual_page_for_each_command() {
    sandbox();
    let pages = run(&format!("{NSLAB} man /run/man/pages; cd /run/man/pages; ls"));
    let named = run(&format!(
        "echo nslab.1; {NSLAB} --help | sed -n '/^Commands:/,/^Options:/s/^  \\([a-z]\\+\\) .*/nslab-\\1.1/p' | grep -v help | sort"
    ));
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert!(sorted(&named).len() > 20, "{named}");
    assert_eq!(sorted(&pages), sorted(&named));
    assert!(run("cat /run/man/pages/nslab-apply.1").contains("Run the file"));
    assert_eq!(sh(&format!("{NSLAB} man /proc/pages")).status.code(), Some(3));
}

#[test]
fn a_file_may_be_called_like_an_option() {
    sandbox();
    run("printf 'name: a\\nnamespaces:\\n  red: {}\\n' > /run/--help.yaml");
    let output = sh(&format!("cd /run; {NSLAB} test -- --help.yaml"));
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn commands_get_the_limit_of_open_files_that_nslab_was_started_with() {
    sandbox();
    run("printf 'name: a\\nnamespaces:\\n  red: {}\\n' > /run/lab.yaml");
    run(&format!("{NSLAB} apply /run/lab.yaml"));
    for command in ["exec a red -- sh -c", "sandbox -- sh -c"] {
        let limit = run(&format!("ulimit -Sn 777; ulimit -Hn 1999; {NSLAB} {command} 'ulimit -Sn; ulimit -Hn'"));
        assert_eq!(limit, "777\n1999\n", "{command}");
    }
}

#[test]
fn a_reason_is_given_once() {
    sandbox();
    run("printf 'name: a\\nnamespaces:\\n  red: { forwarding: true }\\n' > /run/lab.yaml");
    run(&format!("{NSLAB} apply /run/lab.yaml; ip netns exec red sysctl -qw net.ipv4.ip_forward=0"));
    let plan = run(&format!("{NSLAB} plan /run/lab.yaml"));
    assert_eq!(plan.matches("(it is 0)").count(), 1, "{plan}");
}

#[test]
fn a_bare_chroot_is_told_as_such() {
    sandbox();
    run("mkdir /run/root; for d in bin usr lib lib64 proc sys dev etc; do
             [ -e /$d ] && mkdir /run/root/$d && mount --rbind /$d /run/root/$d; done
         mkdir /run/root/run /run/root/tmp");
    run(&format!("cp {NSLAB} /run/root/tmp/nslab; mount -t tmpfs tmpfs /run/root/run"));
    let output = sh("chroot /run/root /tmp/nslab sandbox -- true");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("pivot_root"), "{}", text(&output));
}

#[test]
fn warnings_about_a_file_keep_no_command_from_its_work() {
    sandbox();
    let file = "name: a\nnamespaces:\n  red: { interfaces: { eth0: { addresses: [10.0.0.1/24] } }, routes: [{ to: \
                default, via: 10.0.0.254 }] }\n  blue: { interfaces: { eth0: { addresses: [10.0.0.2/24] } } }\nlinks: \
                [[red/eth0, blue/eth0]]\nchecks: [{ from: red, to: blue }]\n";
    std::fs::write("/run/lab.yaml", file).expect("a file");
    for command in ["validate", "plan", "apply", "apply --check", "test"] {
        let output = sh(&format!("{NSLAB} {command} /run/lab.yaml"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {}", text(&output));
        assert_eq!(stderr.matches("[gateway-nobody]").count(), 1, "{command}: {stderr}");
        assert!(stderr.contains("/run/lab.yaml:3:91"), "{command}: {stderr}");
        let json = sh(&format!("{NSLAB} {command} --format json /run/lab.yaml 2>/dev/null"));
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect(command);
        let warning = match command {
            "validate" => &json[0]["diagnostics"][0],
            "test" => &json[0]["warnings"][0],
            _ => &json["warnings"][0],
        };
        assert_eq!(warning["severity"], "warning", "{command}: {json:#}");
        assert_eq!((&warning["line"], &warning["column"]), (&3.into(), &91.into()), "{command}");
        assert_eq!(warning["code"], "gateway-nobody", "{command}");
    }
}
