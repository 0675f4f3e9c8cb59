#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| rnn_zoo_fuzz::predict_text(bytes));
