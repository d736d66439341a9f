//! Arbitrary input in the place of topology files.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| nslab::fuzzing::loader(input));
