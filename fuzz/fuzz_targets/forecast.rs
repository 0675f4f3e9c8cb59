#![no_main]

use libfuzzer_sys::fuzz_target;
use rnn_zoo::config::IoMode;

fuzz_target!(|bytes: &[u8]| rnn_zoo_fuzz::data(
    bytes,
    "csv",
    ".csv",
    IoMode::ManyToOne,
    "window = 2\nhorizon = 2\ntrajectory = true\nseason = 3"
));
