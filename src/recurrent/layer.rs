//! One layer in one direction: its packed weights.

use super::{Init, RecurrentStackConfig, dropout};
use crate::config::Initialization;
use crate::kernel::{Cell, Norm, Operands, Parts, RecurrentBackend, Sequence, Weights, Zoneout};
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
    /// Where the layer has layer norm.
    pub norm: Option<RecurrentNorm<B>>,
}

/// What layer norm in the cell has to learn; see [`Norm`].
#[derive(Module, Debug)]
pub struct RecurrentNorm<B: Backend> {
    /// Of the input's product, `[G·H]`.
    pub gain_ih: Param<Tensor<B, 1>>,
    /// Of the recurrent product, `[G·H]`.
    pub gain_hh: Param<Tensor<B, 1>>,
    /// Of the cell state, `[H]`: LSTM only.
    pub gain_cell: Option<Param<Tensor<B, 1>>>,
    /// `[H]`: LSTM with biases only.
    pub bias_cell: Option<Param<Tensor<B, 1>>>,
}

impl<B: Backend> RecurrentNorm<B> {
    /// Gains of one, a bias of zero.
    fn new(config: &RecurrentStackConfig, init: &mut Init, device: &B::Device) -> Self {
        let (rows, d_hidden) = (config.cell.gates() * config.d_hidden, config.d_hidden);
        let lstm = config.cell.has_cell_state();
        Self {
            gain_ih: init.constant([rows], 1.0, device),
            gain_hh: init.constant([rows], 1.0, device),
            gain_cell: lstm.then(|| init.constant([d_hidden], 1.0, device)),
            bias_cell: (lstm && config.bias).then(|| init.constant([d_hidden], 0.0, device)),
        }
    }

    fn operands(&self) -> Norm<B> {
        Norm {
            gain_ih: self.gain_ih.val(),
            gain_hh: self.gain_hh.val(),
            gain_cell: self.gain_cell.as_ref().map(Param::val),
            bias_cell: self.bias_cell.as_ref().map(Param::val),
        }
    }
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
        if let (Some(forget), Cell::Lstm, false) = (config.forget_bias, config.cell, init.is_blank()) {
            // The gate adds both biases: one carries the value, the other none.
            let set = |bias: Param<Tensor<B, 1>>, value: f64| {
                let gate = Tensor::full([d_hidden], value, device);
                // A leaf again, or it would never be trained.
                Param::from_tensor(bias.val().slice_assign([d_hidden..2 * d_hidden], gate).detach())
            };
            bias_ih = bias_ih.map(|bias| set(bias, forget));
            bias_hh = bias_hh.map(|bias| set(bias, 0.0));
        }
        let norm = config.layer_norm.then(|| RecurrentNorm::new(config, init, device));
        Self { weight_ih, weight_hh, bias_ih, bias_hh, norm }
    }
}

impl<B: RecurrentBackend> RecurrentLayer<B> {
    /// Those of a layer without layer norm.
    pub(super) fn weights(&self) -> Weights<B> {
        Weights {
            weight_ih: self.weight_ih.val(),
            weight_hh: self.weight_hh.val(),
            bias_ih: self.bias_ih.as_ref().map(Param::val),
            bias_hh: self.bias_hh.as_ref().map(Param::val),
        }
    }

    /// Runs over a sequence, `weight_drop` of its recurrent weights dropped while training; see
    /// [`RecurrentBackend::recurrent_parts`].
    pub(super) fn run(
        &self,
        sequence: &Sequence,
        weight_drop: f64,
        input: Tensor<B, 3>,
        hidden: Tensor<B, 2>,
        cell: Option<Tensor<B, 2>>,
        zoneout: Option<Zoneout<B>>,
    ) -> Parts<B> {
        let operands = Operands {
            input,
            hidden,
            cell,
            weight_ih: self.weight_ih.val(),
            weight_hh: dropout(self.weight_hh.val(), weight_drop, None),
            bias_ih: self.bias_ih.as_ref().map(Param::val),
            bias_hh: self.bias_hh.as_ref().map(Param::val),
            norm: self.norm.as_ref().map(RecurrentNorm::operands),
            zoneout,
        };
        B::recurrent_parts(sequence, operands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    const H: usize = 3;

    /// Both biases of an LSTM's layer, always of the same seed.
    fn biases(initialization: Initialization, forget_bias: Option<f64>) -> [Vec<f32>; 2] {
        let plain = RecurrentStackConfig::new(Cell::Lstm, 2, H);
        let config = RecurrentStackConfig { initialization, forget_bias, ..plain };
        let layer = RecurrentLayer::<Flex>::new(&config, 2, &mut Init::new(1), &Default::default());
        [layer.bias_ih, layer.bias_hh]
            .map(|bias| bias.expect("a bias").val().into_data().to_vec().expect("floats"))
    }

    #[test]
    fn a_forget_bias_sets_its_own_gate_alone() {
        let [drawn_ih, drawn_hh] = biases(Initialization::Pytorch, None);
        let [ih, hh] = biases(Initialization::Pytorch, Some(1.5));
        for (got, mut expected, value) in [(ih, drawn_ih, 1.5), (hh, drawn_hh, 0.0)] {
            expected[H..2 * H].fill(value);
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn xavier_and_orthogonal_biases_are_zero() {
        for kind in [Initialization::Xavier, Initialization::Orthogonal] {
            assert!(biases(kind, None).concat().iter().all(|&v| v == 0.0), "{kind:?}");
        }
    }
}
