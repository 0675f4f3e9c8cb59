#![no_main]

use libfuzzer_sys::fuzz_target;
use rnn_zoo::config::IoMode;

fuzz_target!(|bytes: &[u8]| rnn_zoo_fuzz::data(
    bytes,
    "pairs",
    ".tsv",
    IoMode::EncoderDecoder,
    "pieces = 60"
));
