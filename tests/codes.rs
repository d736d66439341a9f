//! `docs/codes.md` lists every code with its explanation, as the code has them.

mod support;

use std::collections::BTreeSet;

use nslab::check::CheckCode;
use nslab::engine::EngineCode;
use nslab::kernel::KernelCode;
use nslab::lab::code::table_of;
use nslab::plan::ConflictCode;
use nslab::preflight::MachineCode;
use nslab::topology;
use support::golden;

/// A section of the document for each enum of codes.
fn document() -> String {
    let mut text = "# Codes\n\nMessages may change from release to release; codes stay. In text they stand in brackets at the end \
                    of a message,\nin JSON they are the field `code`.\n"
        .to_owned();
    let tables = [
        ("Mistakes in a topology file", table_of::<topology::Code>()),
        ("Conflicts with what is there already", table_of::<ConflictCode>()),
        ("What a machine lacks", table_of::<MachineCode>()),
        ("What the kernel refuses", table_of::<KernelCode>()),
        ("Checks that cannot be run", table_of::<CheckCode>()),
        ("Commands that cannot do their work", table_of::<EngineCode>()),
    ];
    let mut known = BTreeSet::new();
    for (title, table) in tables {
        assert!(!table.is_empty(), "{title}");
        text += &format!("\n## {title}\n\n| code | meaning |\n|---|---|\n");
        for (code, meaning) in table {
            assert!(known.insert(code.clone()), "{code} has two meanings");
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
