//! Queries of archives, and forms: no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast_xmpp::fuzzing::forms(data));
