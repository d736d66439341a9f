//! Tables of codes: the stable, searchable names of what can be wrong, each room's an enum of its own.
//!
//! Such an enum derives `Serialize` and `JsonSchema` with kebab-case names, and each variant has a comment of one line;
//! that is enough to list it here, so a code and its explanation are written once.

use schemars::{JsonSchema, schema_for};

/// The names of an enum's variants, each with its comment, in the order of the enum.
pub fn table_of<T: JsonSchema>() -> Vec<(String, String)> {
    let schema = schema_for!(T);
    let variants = schema.get("oneOf").and_then(|variants| variants.as_array());
    let text = |variant: &serde_json::Value, key| variant.get(key).and_then(|text| text.as_str()).map(str::to_owned);
    variants
        .into_iter()
        .flatten()
        .filter_map(|variant| Some((text(variant, "const")?, text(variant, "description").unwrap_or_default())))
        .collect()
}
