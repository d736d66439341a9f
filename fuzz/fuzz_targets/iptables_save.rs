//! Arbitrary input in the place of what `iptables-save` prints.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| nslab::fuzzing::iptables_save(input));
