//! The `nslab` program.
fn main() {}
