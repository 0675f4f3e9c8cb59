//! One layer in one direction: its packed weights.

use super::{Init, RecurrentStackConfig};
use crate::config::Initialization;
use crate::kernel::{Cell, Operands, RecurrentBackend, Sequence};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The weights of one layer in one direction, in PyTorch's layout and gate order.
#[derive(Module, Debug)]
pub struct RecurrentLayer<B: Backend> {
    /// `[G·H, D]`
    pub weight_ih: Param<Tensor<B, 2>>,
    /// `[G·H, H]`
    pub weight_hh: Param<Tensor<B, 2>>,
    /// `[G·H]`
    pub bias_ih: Option<Param<Tensor<B, 1>>>,
    /// `[G·H]`
    pub bias_hh: Option<Param<Tensor<B, 1>>>,
}

impl<B: Backend> RecurrentLayer<B> {
    pub(super) fn new(
        config: &RecurrentStackConfig,
        d_input: usize,
        init: &mut Init,
        device: &B::Device,
    ) -> Self {
        let (gates, d_hidden) = (config.cell.gates(), config.d_hidden);
        let weight_ih = init.gates(config.initialization, false, [gates, d_hidden, d_input], device);
        let weight_hh = init.gates(config.initialization, true, [gates, d_hidden, d_hidden], device);
        let mut bias = || -> Option<Param<Tensor<B, 1>>> {
            let bound = match config.initialization {
                Initialization::Pytorch => (d_hidden as f64).powf(-0.5),
                _ => 0.0,
            };
            config.bias.then(|| init.uniform([gates * d_hidden], bound, device))
        };
        let (mut bias_ih, mut bias_hh) = (bias(), bias());
        if let (Some(forget), Cell::Lstm) = (config.forget_bias, config.cell) {
            // The gate adds both biases: one carries the value, the other none.
            let set = |bias: Param<Tensor<B, 1>>, value: f64| {
                let gate = Tensor::full([d_hidden], value, device);
                // A leaf again, or it would never be trained.
                Param::from_tensor(bias.val().slice_assign([d_hidden..2 * d_hidden], gate).detach())
            };
            bias_ih = bias_ih.map(|bias| set(bias, forget));
            bias_hh = bias_hh.map(|bias| set(bias, 0.0));
        }
        Self { weight_ih, weight_hh, bias_ih, bias_hh }
    }
}

impl<B: RecurrentBackend> RecurrentLayer<B> {
    /// Runs over a sequence; see [`RecurrentBackend::recurrent`].
    pub(super) fn run(
        &self,
        sequence: &Sequence,
        input: Tensor<B, 3>,
        hidden: Tensor<B, 2>,
        cell: Option<Tensor<B, 2>>,
    ) -> Tensor<B, 3> {
        let operands = Operands {
            input,
            hidden,
            cell,
            weight_ih: self.weight_ih.val(),
            weight_hh: self.weight_hh.val(),
            bias_ih: self.bias_ih.as_ref().map(Param::val),
            bias_hh: self.bias_hh.as_ref().map(Param::val),
        };
        B::recurrent(sequence, operands)
    }
}
