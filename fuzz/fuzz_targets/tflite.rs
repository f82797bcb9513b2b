//! Bytes that claim to be a network: whatever they are, reading, planning and a short run end in an error or an answer.
//!
//! With nightly: `cargo fuzz run tflite`. On stable, from `fuzz/`:
//!
//! ```sh
//! RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
//!   -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
//!   -Cllvm-args=-sanitizer-coverage-trace-compares" cargo build --release --target x86_64-unknown-linux-gnu --bin tflite
//! cargo run --bin seeds corpus
//! target/x86_64-unknown-linux-gnu/release/tflite corpus/tflite -max_len=16384 -rss_limit_mb=1024 -timeout=10 -max_total_time=600
//! ```
#![no_main]

use networks::tflite::{Graph, Network};
use kernels::Cpu;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(graph) = Graph::parse(bytes) else { return };
    let wanted: Vec<usize> = (0..graph.outputs.len()).collect();
    let Ok(network) = Network::new(&graph, &wanted, Cpu::best()) else { return };
    if network.work() > 1 << 20 {
        return;
    }
    let input = vec![0.5; network.input_shape().iter().product()];
    assert_eq!(network.run(&input).len(), wanted.len());
});
