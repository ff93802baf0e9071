//! The words of somebody who signs in: no panic, and who knows the password gets in, nobody else.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast_xmpp::fuzzing::sasl(data));
