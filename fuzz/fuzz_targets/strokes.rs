#![no_main]

use libfuzzer_sys::fuzz_target;
use rnn_zoo::config::IoMode;

fuzz_target!(|bytes: &[u8]| rnn_zoo_fuzz::data(
    bytes,
    "strokes",
    ".jsonl",
    IoMode::OneToMany,
    "side = 8\ncopies = 1"
));
