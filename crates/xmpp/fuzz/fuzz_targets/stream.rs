//! The bytes of a connection: no panic, and the same whatever portions they come in.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast_xmpp::fuzzing::stream(data));
