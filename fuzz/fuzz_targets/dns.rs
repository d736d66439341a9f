//! Arbitrary queries to a name server, and arbitrary answers of the one that it asks.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nslab::fuzzing::dns(input));
