//! Random sets of policies, made of what rules can be made of: every kind of selector, peer and port, and combinations.

use serde_json::{Value, json};

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(of.len() as u64)).expect("a place");
        &of[at]
    }

    fn some<T>(&mut self, most: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }
}

/// A step of a case: one to four policies, and labels of pods and namespaces.
pub fn step(numbers: &mut Numbers) -> Value {
    let policies: Vec<Value> = (0..=numbers.below(4)).map(|at| policy(numbers, at)).collect();
    let mut pod_labels = serde_json::Map::new();
    for pod in ["x/a", "x/b", "y/b", "z/c"] {
        if numbers.below(2) == 0 {
            pod_labels.insert(pod.to_owned(), json!({ "role": numbers.one(&["", "web", "db"]) }));
        }
    }
    let mut namespace_labels = serde_json::Map::new();
    for namespace in ["x", "y", "z"] {
        if numbers.below(2) == 0 {
            namespace_labels.insert(namespace.to_owned(), json!({ "team": numbers.one(&["ops", "dev"]) }));
        }
    }
    json!({ "policies": policies, "pod_labels": pod_labels, "namespace_labels": namespace_labels })
}

fn policy(numbers: &mut Numbers, at: u64) -> Value {
    let mut policy = json!({ "name": format!("policy-{at}"), "namespace": numbers.one(&["x", "x", "y", "z"]) });
    if numbers.below(4) > 0 {
        policy["podSelector"] = pods(numbers);
    }
    let types: &[&[&str]] = &[&["Ingress"], &["Egress"], &["Ingress", "Egress"], &[]];
    let types = *numbers.one(types);
    if !types.is_empty() {
        policy["policyTypes"] = json!(types);
    }
    let is_about = |kind: &str| types.is_empty() || types.contains(&kind);
    for (key, kind, peers) in [("ingress", "Ingress", "from"), ("egress", "Egress", "to")] {
        if is_about(kind) && numbers.below(3) > 0 {
            policy[key] = numbers.some(2, |numbers| rule(numbers, peers)).into();
        }
    }
    policy
}

fn rule(numbers: &mut Numbers, word: &str) -> Value {
    let mut rule = json!({});
    if numbers.below(4) > 0 {
        rule[word] = numbers.some(2, peer).into();
    }
    if numbers.below(2) > 0 {
        rule["ports"] = numbers.some(2, port).into();
    }
    rule
}

fn peer(numbers: &mut Numbers) -> Value {
    match numbers.below(4) {
        0 => json!({ "podSelector": pods(numbers) }),
        1 => json!({ "namespaceSelector": namespaces(numbers) }),
        2 => json!({ "podSelector": pods(numbers), "namespaceSelector": namespaces(numbers) }),
        _ => {
            let (cidr, except): (&str, &[&str]) = *numbers.one(&[
                ("10.244.1.0/24", &["10.244.1.16/28"] as &[&str]),
                ("10.244.0.0/16", &["10.244.2.12/32", "10.244.1.0/27"]),
                ("10.244.2.22/32", &[]),
                ("0.0.0.0/0", &["10.244.0.0/16"]),
                ("0.0.0.0/0", &[]),
                ("fd00::/8", &[]),
            ]);
            match numbers.below(2) {
                0 => json!({ "ipBlock": { "cidr": cidr } }),
                _ => json!({ "ipBlock": { "cidr": cidr, "except": except } }),
            }
        }
    }
}

fn port(numbers: &mut Numbers) -> Value {
    let protocol = *numbers.one(&["TCP", "UDP", "SCTP"]);
    match numbers.below(5) {
        0 => json!({ "protocol": protocol }),
        1 => json!({ "port": numbers.one(&[80, 81]) }),
        2 => json!({ "protocol": protocol, "port": numbers.one(&[80, 81]) }),
        3 => {
            let (first, last) = *numbers.one(&[(80, 81), (53, 80), (81, 81), (1, 65535)]);
            json!({ "protocol": protocol, "port": first, "endPort": last })
        }
        _ => {
            let name = *numbers.one(&["serve-80-tcp", "serve-81-udp", "serve-81-tcp", "serve-80-sctp", "none"]);
            json!({ "protocol": protocol, "port": name })
        }
    }
}

fn pods(numbers: &mut Numbers) -> Value {
    selector(numbers, ("pod", &["a", "b", "c"]), ("role", &["", "web", "db"]))
}

fn namespaces(numbers: &mut Numbers) -> Value {
    selector(numbers, ("ns", &["x", "y", "z"]), ("team", &["ops", "dev", "none"]))
}

fn selector(numbers: &mut Numbers, name: (&str, &[&str]), label: (&str, &[&str])) -> Value {
    let (key, values) = *numbers.one(&[name, label]);
    match numbers.below(4) {
        0 => json!({}),
        1 => json!({ "matchLabels": { key: numbers.one(values) } }),
        2 => json!({ "matchExpressions": [expression(numbers, key, values)] }),
        _ => {
            let other = *numbers.one(name.1);
            json!({ "matchLabels": { name.0: other }, "matchExpressions": [expression(numbers, key, values)] })
        }
    }
}

fn expression(numbers: &mut Numbers, key: &str, values: &[&str]) -> Value {
    let operator = *numbers.one(&["In", "NotIn", "Exists", "DoesNotExist"]);
    match operator {
        "In" | "NotIn" => {
            let many = 1 + numbers.below(2);
            let values: Vec<&str> = (0..many).map(|_| *numbers.one(values)).collect();
            json!({ "key": key, "operator": operator, "values": values })
        }
        _ => json!({ "key": key, "operator": operator }),
    }
}
