//! Layers on layers, in one direction or two.

use super::{Init, RecurrentLayer, RecurrentState, dropout};
use crate::config::{Initialization, Kernel, Merge};
use crate::kernel::{Cell, Keep, RecurrentBackend, Sequence, Zoneout};
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Distribution, Tensor, TensorData};

/// What a [`RecurrentStack`] is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentStackConfig {
    /// The cell of every layer.
    pub cell: Cell,
    /// Features in, D.
    pub d_input: usize,
    /// Features of a layer's state, H.
    pub d_hidden: usize,
    /// Layers, L. Default: 1.
    pub n_layers: usize,
    /// Whether the gates have biases. Default: yes.
    pub bias: bool,
    /// Whether each layer also runs from the end to the start. Default: no.
    pub bidirectional: bool,
    /// How two directions become one. Default: concatenated.
    pub merge: Merge,
    /// Dropout between layers while training, a probability. Default: 0.
    pub dropout: f64,
    /// Whether [`dropout`](Self::dropout) drops the same values at every step. Default: no.
    pub variational: bool,
    /// Recurrent weights dropped while training, the same ones at every step, a probability
    /// ([Merity et al. 2018](https://arxiv.org/abs/1708.02182)). Default: 0.
    pub weight_drop: f64,
    /// Zoneout: that a unit of the hidden state keeps its value at a step, a probability. Default: 0.
    pub zoneout: f64,
    /// The same of an LSTM's cell state. Default: 0.
    pub zoneout_cell: f64,
    /// Layer norm in the cell. Default: no.
    pub layer_norm: bool,
    /// How weights start. Default: as in PyTorch.
    pub initialization: Initialization,
    /// What an LSTM's forget gate's bias starts at. Default: as the other biases.
    pub forget_bias: Option<f64>,
    /// Which body runs the recurrences. Default: the fused one where there is one.
    pub kernel: Kernel,
}

impl RecurrentStackConfig {
    /// One layer in one direction, everything else at its default.
    pub fn new(cell: Cell, d_input: usize, d_hidden: usize) -> Self {
        Self {
            cell,
            d_input,
            d_hidden,
            n_layers: 1,
            bias: true,
            bidirectional: false,
            merge: Merge::Concat,
            dropout: 0.0,
            variational: false,
            weight_drop: 0.0,
            zoneout: 0.0,
            zoneout_cell: 0.0,
            layer_norm: false,
            initialization: Initialization::Pytorch,
            forget_bias: None,
            kernel: Kernel::Auto,
        }
    }

    /// Directions, K.
    pub fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// Features out of the last layer.
    pub fn d_output(&self) -> usize {
        match self.merge {
            Merge::Concat => self.d_hidden * self.directions(),
            Merge::Sum | Merge::Mean | Merge::Max => self.d_hidden,
        }
    }

    /// Builds the stack, its weights drawn from `init`.
    pub fn init<B: Backend>(&self, init: &mut Init, device: &B::Device) -> RecurrentStack<B> {
        let layers = (0..self.n_layers * self.directions())
            .map(|k| {
                let first = k < self.directions();
                RecurrentLayer::new(self, if first { self.d_input } else { self.d_output() }, init, device)
            })
            .collect();
        RecurrentStack { layers, config: self.clone() }
    }
}

/// Layers on layers: each reads what the one below wrote.
#[derive(Module, Debug)]
pub struct RecurrentStack<B: Backend> {
    /// Layer by layer, forward before reverse: L·K of them.
    pub layers: Vec<RecurrentLayer<B>>,
    #[module(skip)]
    config: RecurrentStackConfig,
}

/// What a [`RecurrentStack`] gives.
#[derive(Clone, Debug)]
pub struct StackOutput<B: Backend> {
    /// The last layer's output at every step, `[B, T, O]`, zero past a sequence's end.
    pub output: Tensor<B, 3>,
    /// The state after each sequence's last valid step (reverse: after its first).
    pub state: RecurrentState<B>,
}

impl<B: RecurrentBackend> RecurrentStack<B> {
    /// What the stack is made of.
    pub fn config(&self) -> &RecurrentStackConfig {
        &self.config
    }

    /// The lowest `n_layers` layers alone: their output is what the layer above them reads.
    pub fn lowest(&self, n_layers: usize) -> Self {
        let mut lowest = self.clone();
        lowest.layers.truncate(n_layers * self.config.directions());
        lowest.config.n_layers = n_layers;
        lowest
    }

    /// A state of zeros for `batch` sequences.
    pub fn zero_state(&self, batch: usize, device: &B::Device) -> RecurrentState<B> {
        let zeros = || Tensor::zeros([self.layers.len(), batch, self.config.d_hidden], device);
        RecurrentState { hidden: zeros(), cell: self.config.cell.has_cell_state().then(zeros) }
    }

    /// Runs over whole sequences.
    ///
    /// Without `state` it starts from zeros. `lengths` are the valid steps of each sequence, 1
    /// to T; what stands past them changes nothing.
    ///
    /// # Shapes
    /// * input: `[B, T, D]`
    /// * output: `[B, T, O]`, O = H, or 2·H for two directions concatenated
    ///
    /// # Panics
    /// If the shapes of input, lengths and state do not fit the stack or each other.
    pub fn forward(
        &self,
        input: Tensor<B, 3>,
        lengths: Option<&[usize]>,
        state: Option<RecurrentState<B>>,
    ) -> StackOutput<B> {
        let [batch, n_steps, d_input] = input.dims();
        let device = input.device();
        assert_eq!(
            d_input,
            self.config.d_input,
            "the stack reads {} features, the input [B, T, D] = {:?} has {d_input}",
            self.config.d_input,
            input.dims(),
        );
        assert!(batch > 0 && n_steps > 0, "an input of shape {:?} holds no step", input.dims());
        let lengths = lengths.filter(|lengths| {
            assert_eq!(lengths.len(), batch, "{} lengths for {batch} sequences", lengths.len());
            for &length in *lengths {
                assert!((1..=n_steps).contains(&length), "length {length} is not in 1..={n_steps}");
            }
            lengths.iter().any(|&length| length < n_steps)
        });
        let state = state.unwrap_or_else(|| self.zero_state(batch, &device));
        self.check_state(&state, batch);

        let mut flow = input.swap_dims(0, 1);
        if let Some(lengths) = lengths {
            flow = flow.mask_fill(ended(lengths, n_steps, d_input, &device), 0.0);
        }
        // All of them before the first layer: once burn has joined a leaf's graph to others twice, what is
        // made of the leaf stands alone, and another thread's backward pass may clear it away.
        let starts: Vec<_> = (0..self.layers.len())
            .map(|k| (row(&state.hidden, k), state.cell.as_ref().map(|cell| row(cell, k))))
            .collect();
        let directions = self.config.directions();
        let [mut hidden, mut cell] = [Vec::new(), Vec::new()];
        for (depth, layers) in self.layers.chunks(directions).enumerate() {
            if depth > 0 {
                // [T, B, H]
                flow = dropout(flow, self.config.dropout, self.config.variational.then_some(0));
            }
            let mut outputs = Vec::with_capacity(directions);
            for (direction, layer) in layers.iter().enumerate() {
                let k = depth * directions + direction;
                let sequence = Sequence {
                    cell: self.config.cell,
                    reverse: direction == 1,
                    lengths: lengths.map(<[usize]>::to_vec),
                    kernel: self.config.kernel,
                };
                let parts = layer.run(
                    &sequence,
                    self.config.weight_drop,
                    flow.clone(),
                    starts[k].0.clone(),
                    starts[k].1.clone(),
                    self.zoneout([n_steps, batch, self.config.d_hidden], &device),
                );
                outputs.push(parts.output);
                hidden.push(parts.hidden);
                cell.extend(parts.cell);
            }
            flow = self.merge(outputs);
        }
        StackOutput {
            output: flow.swap_dims(0, 1),
            state: RecurrentState {
                hidden: stacked(hidden),
                cell: (!cell.is_empty()).then(|| stacked(cell)),
            },
        }
    }

    /// Runs one time step: the same weights, the same numbers as [`forward`](Self::forward).
    ///
    /// # Shapes
    /// * input: `[B, D]`
    /// * output: `[B, H]`, and the new state
    ///
    /// # Panics
    /// If the stack is bidirectional: its reverse direction starts at an end that a stream has not.
    pub fn step(&self, input: Tensor<B, 2>, state: RecurrentState<B>) -> (Tensor<B, 2>, RecurrentState<B>) {
        assert!(!self.config.bidirectional, "a bidirectional stack needs the whole sequence: use `forward`");
        if let Some((hidden, cell)) = self.short_step(&input, &state) {
            let last = self.config.n_layers - 1;
            return (row(&hidden, last), RecurrentState { hidden, cell });
        }
        let StackOutput { output, state } = self.forward(input.unsqueeze_dim(1), None, Some(state));
        (output.squeeze_dim(1), state)
    }

    /// The states after a step where the backend has a shorter way to them.
    fn short_step(
        &self,
        input: &Tensor<B, 2>,
        state: &RecurrentState<B>,
    ) -> Option<(Tensor<B, 3>, Option<Tensor<B, 3>>)> {
        let [batch, d_input] = input.dims();
        let plain = !self.config.layer_norm && self.config.zoneout == 0.0 && self.config.zoneout_cell == 0.0;
        if !plain || batch == 0 || d_input != self.config.d_input {
            return None;
        }
        self.check_state(state, batch);
        let layers: Vec<_> = self.layers.iter().map(RecurrentLayer::weights).collect();
        let sequence =
            Sequence { cell: self.config.cell, reverse: false, lengths: None, kernel: self.config.kernel };
        B::stack_step(&sequence, &layers, input, &state.hidden, state.cell.as_ref())
    }

    /// The last layer's final hidden state, directions merged: `[B, O]`.
    pub fn last_hidden(&self, state: &RecurrentState<B>) -> Tensor<B, 2> {
        let directions = self.config.directions();
        let first = self.layers.len() - directions;
        let rows = (first..first + directions).map(|k| row(&state.hidden, k).unsqueeze_dim(0)).collect();
        self.merge(rows).squeeze_dim(0)
    }

    /// While training, that is with gradients, each unit of each step keeps its state or not; else
    /// it keeps what is expected.
    fn zoneout(&self, shape: [usize; 3], device: &B::Device) -> Option<Zoneout<B>> {
        let (hidden, cell) = (self.config.zoneout, self.config.zoneout_cell);
        let keep = |probability: f64| match probability {
            0.0 => Keep::Nothing,
            p if B::ad_enabled(device) => {
                Keep::Mask(Tensor::random(shape, Distribution::Bernoulli(p), device))
            }
            p => Keep::Share(p),
        };
        (hidden > 0.0 || cell > 0.0).then(|| Zoneout { hidden: keep(hidden), cell: keep(cell) })
    }

    fn merge(&self, outputs: Vec<Tensor<B, 3>>) -> Tensor<B, 3> {
        let merge = self.config.merge;
        outputs
            .into_iter()
            .reduce(|forward, reverse| match merge {
                Merge::Concat => Tensor::cat(vec![forward, reverse], 2),
                Merge::Sum => forward + reverse,
                Merge::Mean => (forward + reverse) * 0.5,
                Merge::Max => forward.max_pair(reverse),
            })
            .expect("a stack has a layer")
    }

    fn check_state(&self, state: &RecurrentState<B>, batch: usize) {
        let expected = [self.layers.len(), batch, self.config.d_hidden];
        assert_eq!(state.hidden.dims(), expected, "the hidden state is [L·K, B, H]");
        assert_eq!(
            state.cell.is_some(),
            self.config.cell.has_cell_state(),
            "an LSTM's state has a cell part, no other cell's has"
        );
        if let Some(cell) = &state.cell {
            assert_eq!(cell.dims(), expected, "the cell state is [L·K, B, H]");
        }
    }
}

fn row<B: Backend>(tensor: &Tensor<B, 3>, k: usize) -> Tensor<B, 2> {
    match tensor.dims()[0] {
        1 => tensor.clone().squeeze_dim(0),
        _ => tensor.clone().slice([k..k + 1]).squeeze_dim(0),
    }
}

/// `[L·K, B, H]` of as many rows.
fn stacked<B: Backend>(mut rows: Vec<Tensor<B, 2>>) -> Tensor<B, 3> {
    match rows.len() {
        1 => rows.remove(0).unsqueeze_dim(0),
        _ => Tensor::stack(rows, 0),
    }
}

/// `[T, B, D]`, true past each sequence's end.
fn ended<B: Backend>(lengths: &[usize], n_steps: usize, d: usize, device: &B::Device) -> Tensor<B, 3, Bool> {
    let ended = (0..n_steps).flat_map(|t| lengths.iter().map(move |&length| t >= length)).collect();
    Tensor::<B, 3, Bool>::from_data(TensorData::new(ended, [n_steps, lengths.len(), 1]), device).expand([
        n_steps,
        lengths.len(),
        d,
    ])
}
