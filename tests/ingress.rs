//! What an ingress means, asked of the real nginx: each case of `tests/ingress/` has ingresses, and requests with who
//! answers them. `CASE=name` runs one alone.
//!
//! A request is `HOST/PATH = ANSWER`: a service, with the path that it has seen where that is another; or the status,
//! with where a redirection leads. The services are `a` to `f`, each of one pod, at port 80, which is called `http`;
//! `nobody` has no pods. With `files`, the manifests stand for the ingresses; a `lab` has checks instead of requests.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use nslab::ingress;
use proptest::prelude::*;
use serde::Deserialize;
use support::{ends, golden, run, sandbox};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The ingresses of the cluster, as they are written there.
    #[serde(default)]
    ingress: String,
    /// Files of manifests.
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    requests: String,
    /// A lab of its own instead, whose checks hold.
    #[serde(default)]
    lab: String,
}

const SERVICES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn topology(case: &Case) -> String {
    let mut text = "name: ingress\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  \
                    ingress_controller: { nodePorts: { http: 30080, https: 30443 } }\n  nodes:\n    node1:\n      pods:\n"
        .to_owned();
    for name in SERVICES {
        let _ = writeln!(text, "        - {{ name: {name}, labels: {{ app: {name} }}, serve: [http: 8080] }}");
    }
    text.push_str("  services:\n");
    for name in SERVICES.iter().chain(&["nobody"]) {
        let _ = writeln!(
            text,
            "    - {{ name: {name}, selector: {{ app: {name} }}, ports: [{{ name: http, port: 80, targetPort: 8080 }}] }}"
        );
    }
    if case.files.is_empty() {
        text.push_str("  ingress:\n");
        case.ingress.lines().for_each(|line| text += &format!("    {line}\n"));
    } else {
        let names: Vec<&str> = case.files.keys().map(String::as_str).collect();
        let _ = writeln!(text, "  kubernetes: [{}]", names.join(", "));
    }
    text += "namespaces:\n  lan: { bridges: { br-lan: { ports: [outside-lan] } } }\n  \
             outside: { interfaces: { eth0: { addresses: [192.168.1.100/24] } } }\n\
             links: [[outside/eth0, lan/outside-lan]]\n";
    text
}

/// Who answers a request.
fn ask(request: &str) -> String {
    let (host, path) = request.split_at(request.find('/').unwrap());
    fs::write("/run/body", "").unwrap();
    let asked = run(&format!(
        "ip netns exec outside curl -s --path-as-is --max-time 10 -o /run/body -w '%{{http_code}} %{{redirect_url}}' \
         -H 'Host: {host}' 'http://192.168.1.11:30080{path}'"
    ));
    let body = fs::read_to_string("/run/body").unwrap();
    let Some((name, _)) = body.split_once(" answers at ") else { return asked.trim().to_owned() };
    let seen = body.lines().find_map(|line| line.strip_prefix("request: GET ")).unwrap();
    if seen == path { name.to_owned() } else { format!("{name} {seen}") }
}

#[test]
fn requests_come_to_their_services() {
    let has_nginx = Path::new("/usr/sbin/nginx").exists();
    assert!(has_nginx, "there is no nginx: install the package nginx, whose service need not run");
    golden::run("tests/ingress", &golden::files("tests/ingress", "yaml"), |_, path| {
        let case: Case = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).map_err(|e| e.to_string())?;
        sandbox();
        let lab = if case.lab.is_empty() { topology(&case) } else { case.lab.clone() };
        assert!(case.lab.is_empty() != case.requests.is_empty(), "requests, or a lab with checks");
        fs::write("/run/lab.yaml", lab).unwrap();
        case.files.iter().for_each(|(name, text)| fs::write(Path::new("/run").join(name), text).unwrap());
        ends(&["apply", "--check", "/run/lab.yaml"], 0);
        let mut wrong = String::new();
        let requests = case.requests.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for (number, line) in requests.enumerate() {
            let (request, wanted) = line.split_once(" = ").ok_or_else(|| format!("`{line}` has no ` = `"))?;
            let mut answer = ask(request.trim());
            // nginx listens a moment before the nodes' rules lead to it.
            for _ in 0..if number == 0 { 20 } else { 0 } {
                if answer == wanted.trim() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
                answer = ask(request.trim());
            }
            if answer != wanted.trim() {
                let _ = writeln!(wrong, "{request}: `{answer}`, not `{}`", wanted.trim());
            }
        }
        ends(&["plan", "--exit-code", "/run/lab.yaml"], 0);
        ends(&["destroy", "ingress"], 0);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    });
}

/// Pieces that texts are made of, so that many of them are nearly right.
const PIECES: [&str; 36] = [
    "/", "a", "b9", "Z", "-", "_", ".", "~", "(", ")", "[", "]", "[a-z]", "[^/]", "(a|b)", "|", "*", "+", "?", "^",
    "$", "\\", "\\.", "\\d", "\\n", "$1", "${a}", "{", "}", "\"", "'", ";", "#", "\n", " ", "%41",
];

fn texts(many: usize) -> impl Strategy<Value = Vec<String>> {
    let text = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..8).prop_map(|pieces| pieces.concat());
    prop::collection::vec(text, many)
}

/// A configuration in which all of these texts are that can be.
fn configuration(texts: &[String]) -> (String, usize) {
    let backend = |port: &str| ingress::Backend { namespace: "x".into(), service: "y".into(), port: port.into() };
    let rewrite = texts.iter().find_map(|text| ingress::Rewrite::new(&format!("/{text}")).ok());
    let mut controller = ingress::Controller::default();
    let mut taken = 0;
    for (number, text) in texts.iter().enumerate() {
        let path = format!("/{text}");
        let plain = ingress::Path::plain(&path).ok().map(|own| (own, ingress::PathType::Prefix, false));
        let expression = ingress::Path::expression(&path).ok();
        let expression = expression.map(|own| (own, ingress::PathType::ImplementationSpecific, true));
        for (kind, (path, kind_of_path, use_regex)) in plain.into_iter().chain(expression).enumerate() {
            let rule = ingress::Rule {
                path,
                kind: kind_of_path,
                backend: backend("http"),
                rewrite: rewrite.clone().filter(|_| use_regex),
                use_regex,
                ssl_redirect: true,
            };
            let site = ingress::Site { rules: vec![rule], ..ingress::Site::default() };
            controller.hosts.insert(format!("h{number}-{kind}.example").parse().unwrap(), site);
            taken += 1;
        }
        for host in [text.clone(), format!("*.{text}"), format!("{text}.example")] {
            taken += host.parse().is_ok_and(|host| {
                controller.hosts.insert(host, ingress::Site { default: Some(backend("80")), ..Default::default() });
                true
            }) as usize;
        }
    }
    controller.endpoints.insert(backend("http"), vec!["10.0.0.1:80".parse().unwrap()]);
    (controller.configuration(), taken)
}

/// Whatever can be a host, a path or a rewrite is nothing for nginx to act on, and a regular expression is one: nginx
/// takes the configuration, and has as many servers and locations as are meant.
#[test]
fn no_text_is_more_than_text() {
    sandbox();
    let lab = "ingress".parse().unwrap();
    let authority = nslab::certificates::authority(&lab).unwrap();
    fs::create_dir("/run/nginx").unwrap();
    fs::write("/run/nginx/default.crt", &authority.certificate).unwrap();
    fs::write("/run/nginx/default.key", &authority.key).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 20,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&texts(400), |texts| {
        let (text, taken) = configuration(&texts);
        prop_assert!(taken > 40, "only {} of 400 texts can be something", taken);
        prop_assert_eq!(text.matches("server_name ").count(), text.matches("\n    server {\n").count());
        prop_assert_eq!(text.matches('"').count() % 2, 0);
        fs::write("/run/nginx/nginx.conf", text).unwrap();
        let said = support::text(&support::sh("nginx -t -p /run/nginx -c nginx.conf -e stderr"));
        prop_assert!(said.contains("test is successful") && !said.contains("[warn]"), "{}", said);
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
}
