//! A case that fails, made smaller: what can be left out without making it right is left out.

use serde_json::Value;

use super::play::{load, play};

/// The parts of a namespace that can be left out one by one.
const LISTS: [&str; 6] = ["routes", "rules", "neighbours", "nat", "filter", "vxlans/vx0/fdb"];

/// A smaller file of the same kind, and why it fails.
pub fn smaller(mut file: Value, mut why: String) -> (Value, String) {
    let mut left = 150;
    let mut shrinks = true;
    while std::mem::take(&mut shrinks) {
        let mut at = 0;
        while left > 0 {
            let candidates = without_one(&file);
            let Some(candidate) = candidates.into_iter().nth(at) else { break };
            at += 1;
            let Ok(lab) = load(&candidate) else { continue };
            left -= 1;
            if let Err(still) = play(&candidate, &lab).map(drop) {
                (file, why, shrinks) = (candidate, still, true);
                at -= 1;
            }
        }
    }
    (file, why)
}

/// The file without one thing: a check, an entry of a list.
fn without_one(file: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    let mut without = |pointer: String| {
        let count = match file.pointer(&pointer) {
            Some(Value::Array(list)) => list.len(),
            _ => 0,
        };
        for place in (0..count).rev() {
            let mut smaller = file.clone();
            if let Some(Value::Array(list)) = smaller.pointer_mut(&pointer) {
                list.remove(place);
            }
            all.push(smaller);
        }
    };
    without("/checks".to_owned());
    for ns in file["namespaces"].as_object().into_iter().flat_map(|map| map.keys()) {
        LISTS.iter().for_each(|list| without(format!("/namespaces/{ns}/{list}")));
    }
    all
}
