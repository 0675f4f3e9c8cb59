#![no_main]

use libfuzzer_sys::fuzz_target;
use rnn_zoo::artifact::RecordFormat;

fuzz_target!(|bytes: &[u8]| rnn_zoo_fuzz::record(bytes, RecordFormat::Burnpack));
