//! The recurrence and its gradient in a backend's own tensor operations: what every backend gets,
//! and the oracle for those that override it.
//!
//! The input's product runs once over the whole sequence, as do the products that give the
//! weights' gradients; a step costs one product with the recurrent weights in either direction.
//!
//! LSTM: Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000. GRU: Cho et
//! al. 2014, arXiv 1406.1078. Back-propagation through time: Werbos 1990. Layer norm and zoneout:
//! [`Norm`], [`Zoneout`].

use super::{
    Cell, Gradients, Keep, NORM_EPSILON, Norm, Operands, Sequence, Wanted, WeightGradients, Zoneout,
};
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor, TensorData};

/// What [`forward`] keeps for [`backward`].
#[derive(Clone, Debug)]
pub struct Saved<B: Backend> {
    /// Hidden state before each step, `[T, B, H]`.
    hidden: Tensor<B, 3>,
    /// Cell state before each step, and the tanh that each step's output was made of, `[T, B, H]`:
    /// LSTM only.
    cell: Option<(Tensor<B, 3>, Tensor<B, 3>)>,
    /// Gates after their non-linearity, `[T, B, G·H]`; for an RNN the new hidden state.
    gates: Tensor<B, 3>,
    /// `U_n h + d_n`, `[T, B, H]`: [`Cell::GruAfter`] only.
    recurrent_n: Option<Tensor<B, 3>>,
    norm: Option<SavedNorm<B>>,
}

/// What layer norm leaves: normalised rows before their gains, and what they were multiplied by,
/// gate by gate.
#[derive(Clone, Debug)]
struct SavedNorm<B: Backend> {
    /// Of the input's product, `[T·B, G·H]` and `[T·B, G]`.
    input: (Tensor<B, 2>, Tensor<B, 2>),
    /// Of the recurrent product, `[T, B, G·H]` and `[T, B, G]`.
    recurrent: (Tensor<B, 3>, Tensor<B, 3>),
    /// Of the cell state, `[T, B, H]` and `[T, B, 1]`: LSTM only.
    cell: Option<(Tensor<B, 3>, Tensor<B, 3>)>,
}

/// See [`RecurrentBackend::recurrent_forward`](super::RecurrentBackend::recurrent_forward).
///
/// Differentiable step by step where `B` is: the reference for every hand-written gradient.
pub fn forward<B: Backend>(sequence: &Sequence, operands: Operands<B>) -> (Tensor<B, 3>, Saved<B>) {
    let Operands { input, mut hidden, mut cell, weight_ih, weight_hh, bias_ih, bias_hh, norm, zoneout } =
        operands;
    let [n_steps, batch, d_input] = input.dims();
    let [rows, d_hidden] = weight_hh.dims();
    let kind = sequence.cell;
    let padding = Padding::new(sequence, n_steps, batch, d_hidden, &input.device());

    // A reset gate stands between U_n h and its bias; everywhere else the two biases are one.
    let (bias_x, bias_h) = match (kind, bias_ih, bias_hh) {
        (Cell::GruAfter, x, h) => (x, h),
        (_, Some(x), Some(h)) => (Some(x + h), None),
        (_, x, h) => (x.or(h), None),
    };
    let keep = zoneout.unwrap_or(Zoneout { hidden: Keep::Nothing, cell: Keep::Nothing });
    let mut projected = input.reshape([n_steps * batch, d_input]).matmul(weight_ih.transpose());
    let mut input_norm = None;
    if let Some(norm) = &norm {
        let normal = normalize(projected, d_hidden);
        projected = normal.0.clone() * norm.gain_ih.clone().unsqueeze();
        input_norm = Some(normal);
    }
    if let Some(bias) = bias_x {
        projected = projected + bias.unsqueeze();
    }
    let projected = projected.reshape([n_steps, batch, rows]);
    let weight = weight_hh.transpose();
    let bias_h = bias_h.map(Tensor::unsqueeze::<2>);
    let gain = norm.as_ref().map(|norm| norm.gain_hh.clone().unsqueeze::<2>());

    let mut outputs = Rows::new(n_steps);
    let mut hiddens = Rows::new(n_steps);
    let mut cells = Rows::new(n_steps);
    let mut tanhs = Rows::new(n_steps);
    let mut gates = Rows::new(n_steps);
    let mut recurrent_ns = Rows::new(n_steps);
    let [mut products, mut product_scales] = [Rows::new(n_steps), Rows::new(n_steps)];
    let [mut normal_cells, mut cell_scales] = [Rows::new(n_steps), Rows::new(n_steps)];

    for t in sequence.steps(n_steps) {
        let x = row(&projected, t);
        hiddens.set(t, &hidden);
        let previous = hidden.clone();
        // The recurrent product of the gates from..to, and what normalising it leaves.
        let mut normal = (Vec::new(), Vec::new());
        let mut recurrent = |hidden: Tensor<B, 2>, from: usize, to: usize| {
            let part = |all: &Tensor<B, 2>| match (from, to) {
                (0, to) if to == kind.gates() => all.clone(),
                _ => columns(all, from * d_hidden, to * d_hidden),
            };
            let product = hidden.matmul(part(&weight));
            let Some(gain) = &gain else { return product };
            let (rows, scale) = normalize(product, d_hidden);
            normal.0.push(rows.clone());
            normal.1.push(scale);
            rows * part(gain)
        };
        let new = match kind {
            Cell::RnnTanh | Cell::RnnRelu => {
                let sum = x + recurrent(hidden, 0, 1);
                let new = if kind == Cell::RnnTanh { sum.tanh() } else { relu(sum) };
                gates.set(t, &new);
                new
            }
            Cell::Lstm => {
                let before = cell.take().expect("an LSTM has a cell state");
                let sum = x + recurrent(hidden, 0, 4);
                let input_forget = sigmoid(columns(&sum, 0, 2 * d_hidden));
                let update = columns(&sum, 2 * d_hidden, 3 * d_hidden).tanh();
                let output = sigmoid(columns(&sum, 3 * d_hidden, 4 * d_hidden));
                let i = columns(&input_forget, 0, d_hidden);
                let f = columns(&input_forget, d_hidden, 2 * d_hidden);
                let after = f * before.clone() + i * update.clone();
                let mut read = after.clone();
                if let Some(norm) = &norm {
                    let (rows, scale) = normalize(read, d_hidden);
                    normal_cells.set(t, &rows);
                    cell_scales.set(t, &scale);
                    let gain = norm.gain_cell.clone().expect("an LSTM's norm has the cell state's");
                    read = rows * gain.unsqueeze();
                    if let Some(bias) = &norm.bias_cell {
                        read = read + bias.clone().unsqueeze();
                    }
                }
                let tanh = read.tanh();
                cells.set(t, &before);
                tanhs.set(t, &tanh);
                gates.set(t, &Tensor::cat(vec![input_forget, update, output.clone()], 1));
                let after = keep.cell.blend(t, after, before.clone());
                cell = Some(padding.keep(t, after, before));
                output * tanh
            }
            Cell::GruAfter => {
                let mut h = recurrent(hidden.clone(), 0, 3);
                if let Some(bias) = &bias_h {
                    h = h + bias.clone();
                }
                let reset_update = sigmoid(columns(&x, 0, 2 * d_hidden) + columns(&h, 0, 2 * d_hidden));
                let r = columns(&reset_update, 0, d_hidden);
                let z = columns(&reset_update, d_hidden, 2 * d_hidden);
                let recurrent_n = columns(&h, 2 * d_hidden, 3 * d_hidden);
                let n = (columns(&x, 2 * d_hidden, 3 * d_hidden) + r * recurrent_n.clone()).tanh();
                gates.set(t, &Tensor::cat(vec![reset_update, n.clone()], 1));
                recurrent_ns.set(t, &recurrent_n);
                n.clone() + z * (hidden - n)
            }
            Cell::GruBefore => {
                let reset_update = sigmoid(columns(&x, 0, 2 * d_hidden) + recurrent(hidden.clone(), 0, 2));
                let r = columns(&reset_update, 0, d_hidden);
                let z = columns(&reset_update, d_hidden, 2 * d_hidden);
                let n =
                    (columns(&x, 2 * d_hidden, 3 * d_hidden) + recurrent(r * hidden.clone(), 2, 3)).tanh();
                gates.set(t, &Tensor::cat(vec![reset_update, n.clone()], 1));
                n.clone() + z * (hidden - n)
            }
        };
        if norm.is_some() {
            products.set(t, &Tensor::cat(normal.0, 1));
            product_scales.set(t, &Tensor::cat(normal.1, 1));
        }
        let new = keep.hidden.blend(t, new, previous.clone());
        outputs.set(t, &padding.clear(t, new.clone()));
        hidden = padding.keep(t, new, previous);
    }

    let mut packed = outputs.0;
    packed.push(Some(hidden));
    packed.extend(cell.map(Some));
    let saved = Saved {
        hidden: hiddens.stack(),
        cell: kind.has_cell_state().then(|| (cells.stack(), tanhs.stack())),
        gates: gates.stack(),
        recurrent_n: (kind == Cell::GruAfter).then(|| recurrent_ns.stack()),
        norm: input_norm.map(|input| SavedNorm {
            input,
            recurrent: (products.stack(), product_scales.stack()),
            cell: kind.has_cell_state().then(|| (normal_cells.stack(), cell_scales.stack())),
        }),
    };
    (Rows(packed).stack(), saved)
}

/// See [`RecurrentBackend::recurrent_backward`](super::RecurrentBackend::recurrent_backward).
pub fn backward<B: Backend>(
    sequence: &Sequence,
    operands: Operands<B>,
    saved: Saved<B>,
    grad: Tensor<B, 3>,
    wanted: Wanted,
) -> Gradients<B> {
    let Operands { input, weight_ih, weight_hh, bias_ih, bias_hh, norm, zoneout, .. } = operands;
    let [n_steps, batch, d_input] = input.dims();
    let [rows, d_hidden] = weight_hh.dims();
    let kind = sequence.cell;
    let padding = Padding::new(sequence, n_steps, batch, d_hidden, &input.device());
    let keep = zoneout.unwrap_or(Zoneout { hidden: Keep::Nothing, cell: Keep::Nothing });

    // Gradients with respect to what the input's product and the recurrent product gave, after
    // layer norm where there is one: they differ where a reset gate stands between.
    let mut grad_x = Rows::new(n_steps);
    let mut grad_h = Rows::new(n_steps);
    // Layer norm: with respect to the recurrent product before it, and to what the cell state's gave.
    let mut grad_products = Rows::new(n_steps);
    let mut grad_cells = Rows::new(n_steps);
    let mut d_hidden_state = row(&grad, n_steps);
    let mut d_cell_state = kind.has_cell_state().then(|| row(&grad, n_steps + 1));

    for t in sequence.steps(n_steps).into_iter().rev() {
        let gate = row(&saved.gates, t);
        let block = |k: usize| columns(&gate, k * d_hidden, (k + 1) * d_hidden);
        // From what layer norm gave of the gates from..to, to the recurrent product.
        let through_norm = |grad: Tensor<B, 2>, from: usize, to: usize| match (&norm, &saved.norm) {
            (Some(norm), Some(saved)) => {
                let (rows, scale) = &saved.recurrent;
                let (from_h, to_h) = (from * d_hidden, to * d_hidden);
                let gain = columns(&norm.gain_hh.clone().unsqueeze(), from_h, to_h);
                let (rows, scale) = (columns(&row(rows, t), from_h, to_h), columns(&row(scale, t), from, to));
                normalize_back(grad * gain, rows, scale)
            }
            _ => grad,
        };
        let passed = d_hidden_state.clone();
        let dh = d_hidden_state + padding.clear(t, row(&grad, t));
        let (kept, dh) = keep.hidden.split(t, dh);
        let before = match kind {
            Cell::RnnTanh | Cell::RnnRelu => {
                let slope =
                    if kind == Cell::RnnTanh { tanh_slope(gate) } else { gate.greater_elem(0.0).float() };
                let sum = padding.clear(t, dh * slope);
                grad_x.set(t, &sum);
                let product = through_norm(sum, 0, 1);
                grad_products.set(t, &product);
                product.matmul(weight_hh.clone())
            }
            Cell::Lstm => {
                let (cells, tanhs) = saved.cell.as_ref().expect("an LSTM keeps its cell states");
                let (i, f, g, o) = (block(0), block(1), block(2), block(3));
                let tanh = row(tanhs, t);
                let passed_cell = d_cell_state.take().expect("an LSTM has a cell state");
                let (kept_cell, dc) = keep.cell.split(t, passed_cell.clone());
                let mut read = dh.clone() * o.clone() * tanh_slope(tanh.clone());
                if let (Some(norm), Some(SavedNorm { cell: Some((rows, scale)), .. })) = (&norm, &saved.norm)
                {
                    read = padding.clear(t, read);
                    grad_cells.set(t, &read);
                    let gain = norm.gain_cell.clone().expect("an LSTM's norm has the cell state's");
                    read = normalize_back(read * gain.unsqueeze(), row(rows, t), row(scale, t));
                }
                let dc = dc + read;
                let parts = [
                    dc.clone() * g.clone() * sigmoid_slope(i.clone()),
                    dc.clone() * row(cells, t) * sigmoid_slope(f.clone()),
                    dc.clone() * i * tanh_slope(g),
                    dh * tanh * sigmoid_slope(o),
                ];
                let sum = Tensor::cat(parts.map(|part| padding.clear(t, part)).to_vec(), 1);
                grad_x.set(t, &sum);
                d_cell_state = Some(padding.keep(t, add(dc * f, kept_cell), passed_cell));
                let product = through_norm(sum, 0, 4);
                grad_products.set(t, &product);
                product.matmul(weight_hh.clone())
            }
            Cell::GruAfter | Cell::GruBefore => {
                let (r, z, n) = (block(0), block(1), block(2));
                let hidden = row(&saved.hidden, t);
                let dh = padding.clear(t, dh);
                let dz = dh.clone() * (hidden.clone() - n.clone()) * sigmoid_slope(z.clone());
                let dn = dh.clone() * z.clone().neg().add_scalar(1.0) * tanh_slope(n);
                if let Some(recurrent_n) = &saved.recurrent_n {
                    let dr = dn.clone() * row(recurrent_n, t) * sigmoid_slope(r.clone());
                    let recurrent = Tensor::cat(vec![dr.clone(), dz.clone(), dn.clone() * r], 1);
                    grad_x.set(t, &Tensor::cat(vec![dr, dz, dn], 1));
                    grad_h.set(t, &recurrent);
                    let product = through_norm(recurrent, 0, 3);
                    grad_products.set(t, &product);
                    dh * z + product.matmul(weight_hh.clone())
                } else {
                    let weight_rz = weight_hh.clone().slice([0..2 * d_hidden]);
                    let weight_n = weight_hh.clone().slice([2 * d_hidden..3 * d_hidden]);
                    let product_n = through_norm(dn.clone(), 2, 3);
                    let d_reset = product_n.clone().matmul(weight_n);
                    let dr = d_reset.clone() * hidden * sigmoid_slope(r.clone());
                    let dr_dz = Tensor::cat(vec![dr, dz], 1);
                    grad_x.set(t, &Tensor::cat(vec![dr_dz.clone(), dn], 1));
                    let product_rz = through_norm(dr_dz, 0, 2);
                    grad_products.set(t, &Tensor::cat(vec![product_rz.clone(), product_n], 1));
                    dh * z + d_reset * r + product_rz.matmul(weight_rz)
                }
            }
        };
        d_hidden_state = padding.keep(t, add(before, kept), passed);
    }

    let flat = |t: Tensor<B, 3>, width: usize| t.reshape([n_steps * batch, width]);
    let sums = |grad: &Tensor<B, 2>| -> Tensor<B, 1> { grad.clone().sum_dim(0).squeeze_dim(0) };
    let after_x = flat(grad_x.stack(), rows);
    let after_h = if kind == Cell::GruAfter { flat(grad_h.stack(), rows) } else { after_x.clone() };
    // Before layer norm.
    let (grad_x, grad_h) = match (&norm, &saved.norm) {
        (Some(norm), Some(SavedNorm { input: (rows_x, scale), .. })) => {
            let grad = after_x.clone() * norm.gain_ih.clone().unsqueeze();
            (normalize_back(grad, rows_x.clone(), scale.clone()), flat(grad_products.stack(), rows))
        }
        _ => (after_x.clone(), after_h.clone()),
    };
    let weights = wanted.weights.then(|| {
        let hidden = flat(saved.hidden, d_hidden);
        let weight_hh = if kind == Cell::GruBefore {
            // U_n saw the reset state.
            let reset = columns(&flat(saved.gates, rows), 0, d_hidden) * hidden.clone();
            let rz = columns(&grad_h, 0, 2 * d_hidden).transpose().matmul(hidden);
            let n = columns(&grad_h, 2 * d_hidden, 3 * d_hidden).transpose().matmul(reset);
            Tensor::cat(vec![rz, n], 0)
        } else {
            grad_h.transpose().matmul(hidden)
        };
        let norm = norm.zip(saved.norm).map(|(norm, saved)| {
            let cell = saved.cell.map(|(rows, _)| (flat(grad_cells.stack(), d_hidden), flat(rows, d_hidden)));
            Norm {
                gain_ih: sums(&(after_x.clone() * saved.input.0)),
                gain_hh: sums(&(after_h.clone() * flat(saved.recurrent.0, rows))),
                bias_cell: norm.bias_cell.and(cell.as_ref().map(|(grad, _)| sums(grad))),
                gain_cell: cell.map(|(grad, rows)| sums(&(grad * rows))),
            }
        });
        WeightGradients {
            weight_ih: grad_x.clone().transpose().matmul(flat(input, d_input)),
            weight_hh,
            bias_ih: bias_ih.map(|_| sums(&after_x)),
            bias_hh: bias_hh.map(|_| sums(&after_h)),
            norm,
        }
    });
    Gradients {
        weights,
        input: wanted.input.then(|| grad_x.matmul(weight_ih).reshape([n_steps, batch, d_input])),
        hidden: d_hidden_state,
        cell: d_cell_state,
    }
}

/// Layer norm before its gain: each gate's H features less their mean and over their deviation,
/// `[N, G·H]`; and one over the deviations, `[N, G]`.
fn normalize<B: Backend>(x: Tensor<B, 2>, d_hidden: usize) -> (Tensor<B, 2>, Tensor<B, 2>) {
    let [n, width] = x.dims();
    let gates = width / d_hidden;
    let x = x.reshape([n * gates, d_hidden]);
    let x = x.clone() - x.mean_dim(1);
    let scale = ((x.clone() * x.clone()).mean_dim(1) + NORM_EPSILON).sqrt().recip();
    ((x * scale.clone()).reshape([n, width]), scale.reshape([n, gates]))
}

/// From the gradient of the rows that [`normalize`] gave to that of those it was given.
fn normalize_back<B: Backend>(grad: Tensor<B, 2>, rows: Tensor<B, 2>, scale: Tensor<B, 2>) -> Tensor<B, 2> {
    let [[n, width], [_, gates]] = [grad.dims(), scale.dims()];
    let [grad, rows] = [grad, rows].map(|t| t.reshape([n * gates, width / gates]));
    let along = (grad.clone() * rows.clone()).mean_dim(1);
    let mean = grad.clone().mean_dim(1);
    ((grad - mean - rows * along) * scale.reshape([n * gates, 1])).reshape([n, width])
}

impl<B: Backend> Keep<B> {
    /// A step's new state with what is kept of the old one.
    fn blend(&self, t: usize, new: Tensor<B, 2>, old: Tensor<B, 2>) -> Tensor<B, 2> {
        match self {
            Self::Nothing => new,
            Self::Share(share) => new * (1.0 - share) + old * *share,
            Self::Mask(mask) => {
                let share = row(mask, t);
                new * (share.clone().neg() + 1.0) + old * share
            }
        }
    }

    /// The old state's part of a state's gradient, and the new one's.
    fn split(&self, t: usize, grad: Tensor<B, 2>) -> (Option<Tensor<B, 2>>, Tensor<B, 2>) {
        match self {
            Self::Nothing => (None, grad),
            Self::Share(share) => (Some(grad.clone() * *share), grad * (1.0 - share)),
            Self::Mask(mask) => {
                let share = row(mask, t);
                (Some(grad.clone() * share.clone()), grad * (share.neg() + 1.0))
            }
        }
    }
}

fn add<B: Backend>(x: Tensor<B, 2>, more: Option<Tensor<B, 2>>) -> Tensor<B, 2> {
    match more {
        Some(more) => x + more,
        None => x,
    }
}

/// By way of tanh: burn's own goes through f32 whatever the type, and this one's gradient is finite
/// everywhere.
fn sigmoid<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    (x * 0.5).tanh() * 0.5 + 0.5
}

/// `1 - y²` for `y = tanh(x)`.
fn tanh_slope<B: Backend>(y: Tensor<B, 2>) -> Tensor<B, 2> {
    (y.clone() * y).neg().add_scalar(1.0)
}

/// `y (1 - y)` for `y = sigmoid(x)`.
fn sigmoid_slope<B: Backend>(y: Tensor<B, 2>) -> Tensor<B, 2> {
    y.clone() - y.clone() * y
}

fn row<B: Backend>(tensor: &Tensor<B, 3>, t: usize) -> Tensor<B, 2> {
    tensor.clone().slice([t..t + 1]).squeeze_dim(0)
}

fn columns<B: Backend>(tensor: &Tensor<B, 2>, from: usize, to: usize) -> Tensor<B, 2> {
    let [rows, _] = tensor.dims();
    tensor.clone().slice([0..rows, from..to])
}

/// Rows over time, filled in any order.
struct Rows<B: Backend>(Vec<Option<Tensor<B, 2>>>);

impl<B: Backend> Rows<B> {
    fn new(n_steps: usize) -> Self {
        Self(vec![None; n_steps])
    }

    fn set(&mut self, t: usize, row: &Tensor<B, 2>) {
        self.0[t] = Some(row.clone());
    }

    fn stack(self) -> Tensor<B, 3> {
        Tensor::stack(self.0.into_iter().map(|row| row.expect("every step was run")).collect(), 0)
    }
}

/// Which sequences have ended at which step.
struct Padding<B: Backend> {
    /// Steps before this one have no ended sequence.
    first: usize,
    /// `[T - first, B, H]`, true past the end.
    ended: Option<Tensor<B, 3, Bool>>,
}

impl<B: Backend> Padding<B> {
    fn new(sequence: &Sequence, n_steps: usize, batch: usize, d_hidden: usize, device: &B::Device) -> Self {
        let first = sequence.first_padded_step(n_steps);
        let ended = (first < n_steps).then(|| {
            let lengths = sequence.lengths.as_ref().expect("lengths made a step padded");
            let ended =
                (first..n_steps).flat_map(|t| lengths.iter().map(move |&length| t >= length)).collect();
            Tensor::<B, 3, Bool>::from_data(TensorData::new(ended, [n_steps - first, batch, 1]), device)
                .expand([n_steps - first, batch, d_hidden])
        });
        Self { first, ended }
    }

    fn at(&self, t: usize) -> Option<Tensor<B, 2, Bool>> {
        let ended = self.ended.as_ref()?;
        let k = t.checked_sub(self.first)?;
        Some(ended.clone().slice([k..k + 1]).squeeze_dim(0))
    }

    /// `new`, but `old` where the sequence has ended.
    fn keep(&self, t: usize, new: Tensor<B, 2>, old: Tensor<B, 2>) -> Tensor<B, 2> {
        match self.at(t) {
            Some(ended) => new.mask_where(ended, old),
            None => new,
        }
    }

    /// `new`, but zero where the sequence has ended.
    fn clear(&self, t: usize, new: Tensor<B, 2>) -> Tensor<B, 2> {
        match self.at(t) {
            Some(ended) => new.mask_fill(ended, 0.0),
            None => new,
        }
    }
}
