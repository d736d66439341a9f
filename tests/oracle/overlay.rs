//! What is laid over a random lab: VXLANs between some of its namespaces, right and wrong ones, and permanent entries
//! in their tables of neighbours.

use serde_json::{Value, json};

use super::rng::Rng;

/// An interface of the lab with its first address of a family.
#[derive(Debug, Clone)]
struct Plugged {
    ns: String,
    dev: String,
    /// The address, and with its prefix length.
    address: String,
    subnet: String,
}

/// Adds a VXLAN to some labs, and neighbours to some.
pub fn add(rng: &mut Rng, file: &mut Value) {
    if rng.chance(25) {
        vxlan(rng, file);
    }
    if rng.chance(20) {
        neighbours(rng, file);
    }
}

fn plugged(file: &Value, ipv6: bool) -> Vec<Plugged> {
    let mut all = Vec::new();
    for (ns, body) in file["namespaces"].as_object().into_iter().flatten() {
        for (dev, written) in body["interfaces"].as_object().into_iter().flatten() {
            let addresses = written["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let is_of_it = |address: &&str| address.contains(':') == ipv6 && !address.starts_with("fe80");
            let Some((address, _)) = addresses.clone().find(is_of_it).and_then(|own| own.split_once('/')) else {
                continue;
            };
            if written["up"] != false {
                let subnet = address.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
                all.push(Plugged { ns: ns.clone(), dev: dev.clone(), address: address.to_owned(), subnet });
            }
        }
    }
    all
}

/// A VXLAN of two or three ends, and checks over it.
fn vxlan(rng: &mut Rng, file: &mut Value) {
    let all = plugged(file, false);
    let mut ends: Vec<Plugged> = Vec::new();
    for _ in 0..2 + rng.below(2) {
        let end = rng.pick(&all);
        if ends.iter().all(|other| other.ns != end.ns) {
            ends.push(end.clone());
        }
    }
    if ends.len() < 2 {
        return;
    }
    let mac = |place: usize| format!("02:00:00:00:c8:{place:02x}");
    let over = |place: usize| format!("10.200.0.{}", place + 1);
    for (place, end) in ends.iter().enumerate() {
        let mut fdb = Vec::new();
        for (other, far) in ends.iter().enumerate().filter(|(other, _)| *other != place) {
            let elsewhere: Vec<&Plugged> = all.iter().filter(|own| own.ns == far.ns).collect();
            let to = if rng.chance(12) { &rng.pick(&elsewhere).address } else { &far.address };
            if rng.chance(92) {
                fdb.push(json!({ "to": to }));
            }
            if rng.chance(20) {
                fdb.push(json!({ "mac": mac(other), "to": rng.pick(&all).address }));
            }
        }
        let address = format!("{}/24", over(place));
        file["namespaces"][&end.ns]["vxlans"] = json!({ "vx0": {
            "id": 7, "local": end.address, "learning": rng.chance(75), "mac": mac(place), "addresses": [address],
            "fdb": fdb,
        } });
        // It would tell the others of its groups, at moments of its own, and teach them neighbours with that.
        file["namespaces"][&end.ns]["sysctls"]["net.ipv6.conf.vx0.disable_ipv6"] = 1.into();
    }
    for _ in 0..4 {
        let mut check = json!({ "from": rng.pick(&ends).ns, "to": over(rng.below(ends.len())) });
        if rng.chance(60) {
            check["port"] = 80.into();
            check["protocol"] = if rng.chance(50) { "tcp" } else { "udp" }.into();
        }
        check["expect"] = "unreachable".into();
        check["retries"] = 0.into();
        file["checks"].as_array_mut().expect("checks").push(check);
    }
}

/// Entries that name the hardware address of somebody in the subnet, for their own address or for another one.
fn neighbours(rng: &mut Rng, file: &mut Value) {
    for number in 0..1 + rng.below(3) {
        let all: Vec<Plugged> = plugged(file, rng.chance(25)).into_iter().filter(|own| own.dev != "lo").collect();
        if all.is_empty() {
            return;
        }
        let at = rng.pick(&all).clone();
        let near: Vec<&Plugged> = all.iter().filter(|own| own.subnet == at.subnet && own.ns != at.ns).collect();
        if near.is_empty() {
            continue;
        }
        let (of, whose) = (*rng.pick(&near), *rng.pick(&near));
        let mac = format!("02:00:00:00:fe:{number:02x}");
        let has_one = &mut file["namespaces"][&whose.ns]["interfaces"][&whose.dev]["mac"];
        if has_one.is_null() {
            *has_one = mac.into();
        }
        let entry = json!({ "to": of.address, "mac": has_one.clone(), "dev": at.dev });
        match &mut file["namespaces"][&at.ns]["neighbours"] {
            Value::Array(list) if list.iter().any(|own| own["to"] == entry["to"]) => {}
            Value::Array(list) => list.push(entry),
            none => *none = json!([entry]),
        }
    }
}
