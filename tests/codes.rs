//! `docs/codes.md` lists every code with its explanation, as the code has them.

mod support;

use nslab::lab::code::table_of;
use nslab::topology;
use support::golden;

/// A section of the document for each enum of codes.
fn document() -> String {
    let mut text = "# Codes\n\nMessages may change from release to release; codes stay. In text they stand in brackets at the end \
                    of a message,\nin JSON they are the field `code`.\n"
        .to_owned();
    for (title, table) in [("Mistakes in a topology file", table_of::<topology::Code>())] {
        text += &format!("\n## {title}\n\n| code | meaning |\n|---|---|\n");
        for (code, meaning) in table {
            assert!(!meaning.is_empty(), "{code} has no explanation");
            assert!(!meaning.contains('\n'), "the explanation of {code} is longer than a line");
            text += &format!("| `{code}` | {meaning} |\n");
        }
    }
    text
}

#[test]
fn the_document_lists_every_code() {
    golden::expect(&support::project("docs/codes.md"), &document()).unwrap_or_else(|error| panic!("{error}"));
}
