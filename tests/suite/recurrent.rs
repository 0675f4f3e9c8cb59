//! Cells and stacks against PyTorch's numbers, and the laws that hold for every one of them.

use crate::support::*;
use burn::module::Param;
use burn::tensor::Tensor;
use rnn_zoo::backend::{BackendKind, Task, TrainBackend, compiled};
use rnn_zoo::config::{Kernel, Merge};
use rnn_zoo::kernel::Cell;
use rnn_zoo::recurrent::{Init, RecurrentStack, RecurrentStackConfig, RecurrentState, StackOutput};
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    cell: String,
    hidden_activation: Option<String>,
    reset: Option<String>,
    n_layers: usize,
    bidirectional: bool,
    bias: bool,
    merge: Merge,
    lengths: Option<Vec<usize>>,
    #[serde(rename = "D")]
    d_input: usize,
    #[serde(rename = "H")]
    d_hidden: usize,
}

impl Case {
    fn config(&self, kernel: Kernel) -> RecurrentStackConfig {
        let cell = match (self.cell.as_str(), self.hidden_activation.as_deref(), self.reset.as_deref()) {
            ("rnn", Some("tanh"), _) => Cell::RnnTanh,
            ("rnn", Some("relu"), _) => Cell::RnnRelu,
            ("lstm", ..) => Cell::Lstm,
            ("gru", _, Some("after")) => Cell::GruAfter,
            ("gru", _, Some("before")) => Cell::GruBefore,
            other => panic!("unknown cell {other:?}"),
        };
        RecurrentStackConfig {
            n_layers: self.n_layers,
            bidirectional: self.bidirectional,
            bias: self.bias,
            merge: self.merge,
            kernel,
            ..RecurrentStackConfig::new(cell, self.d_input, self.d_hidden)
        }
    }
}

/// A fixture's tensors, by case and name.
struct Fixture<'a>(SafeTensors<'a>);

impl Fixture<'_> {
    fn get(&self, case: &Case, name: &str) -> Option<(Vec<f32>, Vec<usize>)> {
        let view = self.0.tensor(&format!("{}/{name}", case.name)).ok()?;
        let floats = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        Some((floats, view.shape().to_vec()))
    }

    fn tensor<B: TrainBackend, const D: usize>(
        &self,
        case: &Case,
        name: &str,
        device: &B::Device,
    ) -> Option<Tensor<B, D>> {
        let (values, shape) = self.get(case, name)?;
        Some(tensor(&values, shape.try_into().expect("rank"), device))
    }
}

#[derive(Clone)]
struct AgreesWithPyTorch;

impl Task for AgreesWithPyTorch {
    type Output = ();

    fn run<B: TrainBackend>(self, device: B::Device) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/recurrent.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = metadata.metadata().clone().unwrap();
        let cases: Vec<Case> = serde_json::from_str(&metadata["cases"]).unwrap();
        assert!(cases.len() >= 150, "the fixtures have {} cases", cases.len());
        let fixture = Fixture(SafeTensors::deserialize(&bytes).unwrap());
        for case in &cases {
            check_case::<B>(case, Kernel::Auto, &fixture, &device);
        }
        // A software GPU takes long over the composed body's many small operations.
        let every = if compiled() == [BackendKind::Wgpu] { 5 } else { 1 };
        for case in cases.iter().step_by(every) {
            check_case::<B>(case, Kernel::Reference, &fixture, &device);
        }
    }
}

fn check_case<B: TrainBackend>(case: &Case, kernel: Kernel, fixture: &Fixture, device: &B::Device) {
    let config = case.config(kernel);
    let mut stack: RecurrentStack<B> = config.init(&mut Init::new(0), device);
    let names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
    let suffix = |k: usize| {
        let directions = config.directions();
        format!("_l{}{}", k / directions, if k % directions == 1 { "_reverse" } else { "" })
    };
    for (k, layer) in stack.layers.iter_mut().enumerate() {
        let matrix = |name: &str| fixture.tensor::<B, 2>(case, &format!("{name}{}", suffix(k)), device);
        let vector = |name: &str| fixture.tensor::<B, 1>(case, &format!("{name}{}", suffix(k)), device);
        layer.weight_ih = Param::from_tensor(matrix(names[0]).unwrap());
        layer.weight_hh = Param::from_tensor(matrix(names[1]).unwrap());
        layer.bias_ih = vector(names[2]).map(Param::from_tensor);
        layer.bias_hh = vector(names[3]).map(Param::from_tensor);
        assert_eq!(layer.bias_ih.is_some(), case.bias);
    }
    let leaf = |name: &str| fixture.tensor::<B, 3>(case, name, device).map(Tensor::require_grad);
    let x = leaf("x").unwrap();
    let (h0, c0) = (leaf("h0"), leaf("c0"));
    let state = h0.clone().map(|hidden| RecurrentState { hidden, cell: c0.clone() });
    let StackOutput { output, state } = stack.forward(x.clone(), case.lengths.as_deref(), state);

    let check = |name: &str, got: Vec<f32>| {
        let (expected, _) =
            fixture.get(case, name).unwrap_or_else(|| panic!("{}/{name} is missing", case.name));
        assert_close(&format!("{}/{name}, {kernel:?}", case.name), &got, &expected);
    };
    check("y", values(output.clone()));
    check("h_n", values(state.hidden.clone()));
    let weigh = |t: Tensor<B, 3>, name: &str| (t * fixture.tensor(case, name, device).unwrap()).sum();
    let mut loss = weigh(output, "gy") + weigh(state.hidden, "gh");
    if let Some(cell) = state.cell {
        check("c_n", values(cell.clone()));
        loss = loss + weigh(cell, "gc");
    }
    let grads = loss.backward();
    check("grad_x", values(x.grad(&grads).unwrap()));
    for (name, leaf) in [("grad_h0", h0), ("grad_c0", c0)] {
        if let Some(leaf) = leaf {
            check(name, values(leaf.grad(&grads).unwrap()));
        }
    }
    for (k, layer) in stack.layers.iter().enumerate() {
        check(&format!("grad_{}{}", names[0], suffix(k)), values(layer.weight_ih.grad(&grads).unwrap()));
        check(&format!("grad_{}{}", names[1], suffix(k)), values(layer.weight_hh.grad(&grads).unwrap()));
        if let (Some(ih), Some(hh)) = (&layer.bias_ih, &layer.bias_hh) {
            check(&format!("grad_{}{}", names[2], suffix(k)), values(ih.grad(&grads).unwrap()));
            check(&format!("grad_{}{}", names[3], suffix(k)), values(hh.grad(&grads).unwrap()));
        }
    }
}

#[test]
fn outputs_states_and_gradients_agree_with_pytorch() {
    on_each_backend(AgreesWithPyTorch);
}
