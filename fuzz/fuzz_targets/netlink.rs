//! Arbitrary input in the place of what the kernel says over netlink.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nslab::fuzzing::netlink(input));
