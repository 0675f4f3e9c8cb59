//! Kernels in CubeCL, for every one of burn's runtimes of it.
//!
//! A tick is one product with the recurrent weights and the element-wise work that follows: a time
//! step has one, two where the reset gate stands before the product. Rows over time are written
//! where they belong, direction and lengths are index arithmetic.
//!
//! A workgroup has some hidden units of some batch rows, a [`Tile`]. Each invocation sums a slice
//! of its products, and the slices meet in shared memory. Up to [`ONE_GROUP`] hidden units a
//! workgroup goes through them all, so that its own barrier is enough between two ticks and one
//! launch runs many; beyond, each tick is a launch and the units are spread over workgroups.

mod backward;
mod forward;
mod product;

use super::{
    Cell, Gradients, Operands, Options, RecurrentBackend, Saved, Sequence, Wanted, WeightGradients, compose,
    composed,
};
use crate::config::Kernel;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Element, Shape, Tensor, TensorPrimitive};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use product::{ExtentLaunch, SLICES, Tile, UNITS, phases};
use std::sync::Arc;

/// Hidden units up to which one workgroup has them all: reading so few weights, it should take less
/// time over a tick than a launch does.
const ONE_GROUP: usize = 128;
/// Batch rows of a workgroup, if there is more than one sequence.
const ROWS: usize = 4;
/// Ticks of a launch: a long sequence must not look like a hanging device.
const TICKS: usize = 256;

impl<R: CubeRuntime, F: FloatElement, I: IntElement, BT: BoolElement> RecurrentBackend
    for CubeBackend<R, F, I, BT>
{
    fn fused(_: Cell, options: Options) -> Result<(), String> {
        match <F as Element>::dtype() {
            DType::F32 => options.none(),
            other => Err(format!("the kernels compute in f32, this backend in {}", other.name())),
        }
    }

    fn recurrent_forward(sequence: &Sequence, operands: Operands<Self>) -> (Tensor<Self, 3>, Saved<Self>) {
        match Plan::new(sequence, &operands) {
            Ok(plan) => {
                let (packed, kept) = plan.forward(operands);
                (packed, Saved::Fused(Arc::new(kept)))
            }
            Err(missing) => compose(sequence, operands, &missing),
        }
    }

    fn recurrent_backward(
        sequence: &Sequence,
        operands: Operands<Self>,
        saved: Saved<Self>,
        grad: Tensor<Self, 3>,
        wanted: Wanted,
    ) -> Gradients<Self> {
        match saved {
            Saved::Composed(saved) => composed::backward(sequence, operands, saved, grad, wanted),
            Saved::Fused(kept) => {
                let kept = kept.downcast::<Kept<R>>().expect("this backend's own");
                let plan = Plan::new(sequence, &operands).expect("as when it ran forward");
                plan.backward(operands, &kept, grad, wanted)
            }
        }
    }
}

/// What the forward direction leaves for the backward one; see [`forward::forward_ticks`].
struct Kept<R: CubeRuntime> {
    lengths: CubeTensor<R>,
    gates: CubeTensor<R>,
    hidden: CubeTensor<R>,
    extra: CubeTensor<R>,
}

/// A sequence that the kernels can run, and how.
struct Plan<'a, R: CubeRuntime> {
    sequence: &'a Sequence,
    client: ComputeClient<R>,
    device: R::Device,
    n_steps: usize,
    batch: usize,
    d_hidden: usize,
    forward: Tile,
    backward: Tile,
}

impl<'a, R: CubeRuntime> Plan<'a, R> {
    /// What is missing, where it is to be composed: as asked, or for the type, size or device.
    fn new<B: Backend<Device = R::Device>>(
        sequence: &'a Sequence,
        operands: &Operands<B>,
    ) -> Result<Self, String> {
        check(sequence, operands);
        let Operands { input, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh, .. } = operands;
        let [n_steps, batch, _] = input.dims();
        let [width, d_hidden] = weight_hh.dims();
        let dtypes = [input.dtype(), hidden.dtype(), weight_ih.dtype(), weight_hh.dtype()];
        let optional =
            cell.iter().map(Tensor::dtype).chain([bias_ih, bias_hh].into_iter().flatten().map(Tensor::dtype));
        let device = input.device();
        let client = R::client(&device);
        let hardware = &client.properties().hardware;
        let rows = if batch == 1 { 1 } else { ROWS };
        // The products of a tick: those of all gates, but those past the reset gate are the next's.
        let gates = if sequence.cell == Cell::GruBefore { 2 } else { sequence.cell.gates() };
        let [forward, backward] = [gates, 1].map(|gates| Tile::new(gates, rows));
        operands.options().none()?;
        let counted = (n_steps + 2).checked_mul(batch * width).is_some_and(|n| u32::try_from(n).is_ok())
            && width * d_hidden <= u32::MAX as usize;
        let shared = forward.shared().max(backward.shared()) * size_of::<f32>();
        for (holds, missing) in [
            (sequence.kernel != Kernel::Reference, "it is not wanted"),
            (dtypes.into_iter().chain(optional).all(|dtype| dtype == DType::F32), "tensors must be of f32"),
            (n_steps * batch * d_hidden > 0, "there is nothing to compute"),
            (counted, "a sequence has at most 2^32 values"),
            ((UNITS * SLICES) as u32 <= hardware.max_units_per_cube, "the device's workgroups are too small"),
            (shared <= hardware.max_shared_memory_size, "the device's workgroups share too little memory"),
            (
                batch.div_ceil(rows) <= hardware.max_cube_count.1 as usize,
                "the batch is too large for the device",
            ),
            (
                d_hidden.div_ceil(UNITS) <= hardware.max_cube_count.0 as usize,
                "there are too many units for the device",
            ),
        ] {
            if !holds {
                return Err(missing.into());
            }
        }
        Ok(Self { sequence, client, device, n_steps, batch, d_hidden, forward, backward })
    }

    fn width(&self) -> usize {
        self.sequence.cell.gates() * self.d_hidden
    }

    fn empty<const D: usize>(&self, shape: [usize; D]) -> CubeTensor<R> {
        let handle = self.client.empty(shape.iter().product::<usize>() * size_of::<f32>());
        let device = self.device.clone();
        CubeTensor::new_contiguous(self.client.clone(), device, Shape::from(shape), handle, DType::F32)
    }

    /// In the place of an argument that the cell has not.
    fn absent(&self) -> CubeTensor<R> {
        self.empty([1])
    }

    /// Runs `launch` over all ticks, in order: from this one, to that, on so many workgroups.
    fn run(&self, tile: Tile, n_ticks: usize, mut launch: impl FnMut(usize, usize, CubeCount, CubeDim)) {
        let one_group = self.d_hidden <= ONE_GROUP;
        let groups = if one_group { 1 } else { self.d_hidden.div_ceil(tile.width()) };
        let count = CubeCount::new_2d(groups as u32, self.batch.div_ceil(tile.rows) as u32);
        let ticks = if one_group { TICKS } else { 1 };
        for from in (0..n_ticks).step_by(ticks) {
            #[cfg(test)]
            tests::count_launch();
            let to = n_ticks.min(from + ticks);
            launch(from, to, count.clone(), CubeDim::new_2d(UNITS as u32, SLICES as u32));
        }
    }

    fn extent(&self) -> ExtentLaunch<R> {
        ExtentLaunch::new(self.n_steps, self.batch, self.d_hidden, usize::from(self.sequence.reverse))
    }

    /// `[T + 1, B, H]` with `start` in the place of the state before the first step.
    fn states_from<B: CubeBased<R>>(&self, start: Tensor<B, 2>) -> CubeTensor<R> {
        let k = if self.sequence.reverse { self.n_steps } else { 0 };
        let states = tensor::<R, B, 3>(self.empty([self.n_steps + 1, self.batch, self.d_hidden]));
        raw(states.slice_assign([k..k + 1], start.unsqueeze()))
    }

    fn forward<B: CubeBased<R>>(&self, operands: Operands<B>) -> (Tensor<B, 3>, Kept<R>) {
        let Operands { input, hidden, cell: cell_state, weight_ih, weight_hh, bias_ih, bias_hh, .. } =
            operands;
        let Self { n_steps, batch, d_hidden, .. } = *self;
        let [_, _, d_input] = input.dims();
        let cell = self.sequence.cell;
        // A reset gate stands between U_n h and its bias; everywhere else the two biases are one.
        let (bias_x, bias_h) = match (cell, bias_ih, bias_hh) {
            (Cell::GruAfter, x, h) => (x, h),
            (_, Some(x), Some(h)) => (Some(x + h), None),
            (_, x, h) => (x.or(h), None),
        };
        let bias_h = match (cell, bias_h) {
            (_, Some(bias)) => raw(bias),
            (Cell::GruAfter, None) => raw(Tensor::<B, 1>::zeros([self.width()], &self.device)),
            _ => self.absent(),
        };
        let mut projected = input.reshape([n_steps * batch, d_input]).matmul(weight_ih.transpose());
        if let Some(bias) = bias_x {
            projected = projected + bias.unsqueeze();
        }
        let gates = raw(projected);
        let weight = raw(weight_hh.transpose());
        let lengths = match &self.sequence.lengths {
            Some(lengths) => lengths.iter().map(|&length| length as u32).collect(),
            None => vec![n_steps as u32; batch],
        };
        let lengths = CubeTensor::new_contiguous(
            self.client.clone(),
            self.device.clone(),
            Shape::from([batch]),
            self.client.create_from_slice(u32::as_bytes(&lengths)),
            DType::U32,
        );
        let hidden = self.states_from(hidden);
        let extra = match (cell, cell_state) {
            (_, Some(start)) => self.states_from(start),
            (Cell::GruAfter | Cell::GruBefore, _) => self.empty([n_steps, batch, d_hidden]),
            _ => self.absent(),
        };
        let packed = self.empty([n_steps + cell.state_rows(), batch, d_hidden]);
        self.run(self.forward, n_steps * phases(cell), |from, to, count, dim| {
            forward::forward_ticks::launch::<R>(
                &self.client,
                count,
                dim,
                weight.clone().into_array_arg(),
                bias_h.clone().into_array_arg(),
                lengths.clone().into_array_arg(),
                gates.clone().into_array_arg(),
                hidden.clone().into_array_arg(),
                extra.clone().into_array_arg(),
                packed.clone().into_array_arg(),
                from,
                to,
                self.extent(),
                cell,
                self.forward,
            )
        });
        (tensor(packed), Kept { lengths, gates, hidden, extra })
    }

    fn backward<B: CubeBased<R>>(
        &self,
        operands: Operands<B>,
        kept: &Kept<R>,
        grad: Tensor<B, 3>,
        wanted: Wanted,
    ) -> Gradients<B> {
        let Operands { input, weight_ih, weight_hh, bias_ih, bias_hh, .. } = operands;
        let Self { n_steps, batch, d_hidden, .. } = *self;
        let [_, _, d_input] = input.dims();
        let (cell, width) = (self.sequence.cell, self.width());
        assert_eq!(grad.dims(), [n_steps + cell.state_rows(), batch, d_hidden], "the result's gradient");
        let is = |which, shape: [usize; 3]| if cell == which { self.empty(shape) } else { self.absent() };

        let weight = raw(weight_hh);
        let grad = raw(grad);
        let d_gates = self.empty([n_steps, batch, width]);
        let d_recurrent = is(Cell::GruAfter, [n_steps, batch, width]);
        let d_state = self.empty([batch, d_hidden]);
        let d_cell = is(Cell::Lstm, [1, batch, d_hidden]);
        self.run(self.backward, n_steps * phases(cell) + 1, |from, to, count, dim| {
            backward::backward_ticks::launch::<R>(
                &self.client,
                count,
                dim,
                weight.clone().into_array_arg(),
                kept.lengths.clone().into_array_arg(),
                grad.clone().into_array_arg(),
                kept.gates.clone().into_array_arg(),
                kept.hidden.clone().into_array_arg(),
                kept.extra.clone().into_array_arg(),
                d_gates.clone().into_array_arg(),
                d_recurrent.clone().into_array_arg(),
                d_state.clone().into_array_arg(),
                d_cell.clone().into_array_arg(),
                from,
                to,
                self.extent(),
                cell,
                self.backward,
            )
        });

        let flat = |rows: CubeTensor<R>, width| tensor::<R, B, 3>(rows).reshape([n_steps * batch, width]);
        let grad_x = flat(d_gates, width);
        let weights = wanted.weights.then(|| {
            let after_reset = (cell == Cell::GruAfter).then(|| flat(d_recurrent, width));
            let first = usize::from(self.sequence.reverse);
            let hidden = tensor::<R, B, 3>(kept.hidden.clone()).slice([first..first + n_steps]);
            let hidden: Tensor<B, 2> = hidden.reshape([n_steps * batch, d_hidden]);
            let grad_h = after_reset.clone().unwrap_or_else(|| grad_x.clone());
            let weight_hh = if cell == Cell::GruBefore {
                // U_n saw the reset state.
                let parts = grad_h.split(2 * d_hidden, 1);
                let reset = flat(kept.extra.clone(), d_hidden);
                let products = parts.into_iter().zip([hidden, reset]);
                Tensor::cat(products.map(|(part, seen)| part.transpose().matmul(seen)).collect(), 0)
            } else {
                grad_h.transpose().matmul(hidden)
            };
            let sum = |grad: &Tensor<B, 2>| grad.clone().sum_dim(0).squeeze_dim::<1>(0);
            let sum_x = (bias_ih.is_some() || bias_hh.is_some()).then(|| sum(&grad_x));
            let sum_h = bias_hh.and_then(|_| after_reset.as_ref().map(sum).or_else(|| sum_x.clone()));
            WeightGradients {
                weight_ih: grad_x.clone().transpose().matmul(input.reshape([n_steps * batch, d_input])),
                weight_hh,
                bias_ih: bias_ih.and(sum_x),
                bias_hh: sum_h,
                norm: None,
            }
        });
        Gradients {
            weights,
            input: wanted.input.then(|| grad_x.matmul(weight_ih).reshape([n_steps, batch, d_input])),
            hidden: tensor(d_state),
            cell: cell.has_cell_state().then(|| tensor::<R, B, 3>(d_cell).squeeze_dim(0)),
        }
    }
}

/// What the kernels' indices rely on.
pub(super) fn check<B: Backend>(sequence: &Sequence, operands: &Operands<B>) {
    let Operands { input, hidden, cell, weight_ih, weight_hh, bias_ih, bias_hh, .. } = operands;
    let [n_steps, batch, d_input] = input.dims();
    let [width, d_hidden] = weight_hh.dims();
    assert_eq!(width, sequence.cell.gates() * d_hidden, "recurrent weights are [G·H, H]");
    assert_eq!(weight_ih.dims(), [width, d_input], "input weights are [G·H, D]");
    assert_eq!(hidden.dims(), [batch, d_hidden], "the hidden state is [B, H]");
    assert_eq!(cell.is_some(), sequence.cell.has_cell_state(), "only an LSTM has a cell state");
    assert!(cell.iter().all(|cell| cell.dims() == [batch, d_hidden]), "the cell state is [B, H]");
    assert!([bias_ih, bias_hh].into_iter().flatten().all(|b| b.dims() == [width]), "biases are [G·H]");
    let fits = |lengths: &Vec<usize>| {
        lengths.len() == batch && lengths.iter().all(|length| (1..=n_steps).contains(length))
    };
    assert!(sequence.lengths.iter().all(fits), "there are B lengths of 1 to T");
}

/// A backend whose tensors are CubeCL's.
trait CubeBased<R: CubeRuntime>: Backend<Device = R::Device, FloatTensorPrimitive = CubeTensor<R>> {}

impl<R: CubeRuntime, B: Backend<Device = R::Device, FloatTensorPrimitive = CubeTensor<R>>> CubeBased<R>
    for B
{
}

/// The contiguous tensor below.
fn raw<R: CubeRuntime, B: CubeBased<R>, const D: usize>(tensor: Tensor<B, D>) -> CubeTensor<R> {
    into_contiguous(tensor.into_primitive().tensor())
}

fn tensor<R: CubeRuntime, B: CubeBased<R>, const D: usize>(raw: CubeTensor<R>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(raw))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{BackendKind, PlainWgpu, Task, TrainBackend, devices};
    use burn::backend::Autodiff;
    use burn::tensor::TensorData;
    use burn_fusion::Fusion;
    use burn_fusion::stream::StreamId;
    use std::any::Any;
    use std::collections::BTreeMap;
    use std::marker::PhantomData;
    use std::sync::Mutex;
    use std::thread;

    /// By the stream that asked for them: fusion launches on a thread of its own.
    static LAUNCHES: Mutex<BTreeMap<StreamId, usize>> = Mutex::new(BTreeMap::new());

    pub(super) fn count_launch() {
        *LAUNCHES.lock().unwrap().entry(StreamId::current()).or_default() += 1;
    }

    /// Launches for this thread's recurrences since it last asked.
    fn launches<B: Backend>(device: &B::Device) -> usize {
        B::sync(device).unwrap();
        LAUNCHES.lock().unwrap().remove(&StreamId::current()).unwrap_or(0)
    }

    const CELLS: [Cell; 5] = [Cell::RnnTanh, Cell::RnnRelu, Cell::Lstm, Cell::GruAfter, Cell::GruBefore];

    /// Runs a task on `B`, whatever the program itself does with the device.
    struct On<B, T>(T, PhantomData<B>);

    impl<I: RecurrentBackend, T: Task> Task for On<I, T>
    where
        Autodiff<I>: TrainBackend,
    {
        type Output = T::Output;

        fn run<B: TrainBackend>(self, device: B::Device) -> T::Output {
            let device = (&device as &dyn Any).downcast_ref().cloned();
            self.0.run::<Autodiff<I>>(device.expect("a device of wgpu's"))
        }
    }

    /// `None` where wgpu has no device.
    fn on<B: RecurrentBackend, T: Task>(task: T) -> Option<T::Output>
    where
        Autodiff<B>: TrainBackend,
    {
        let device = devices().into_iter().find(|device| device.backend == BackendKind::Wgpu);
        if device.is_none() {
            eprintln!("wgpu has no device here");
        }
        device.map(|device| device.run(On(task, PhantomData::<B>)))
    }

    /// Values in -scale to scale that are the same for a shape.
    fn leaf<B: Backend, const D: usize>(shape: [usize; D], scale: f32, device: &B::Device) -> Tensor<B, D> {
        let n = shape.iter().product::<usize>();
        let values = (0..n).map(|k| ((k + n) as f32 * 12.9898).sin() * scale).collect();
        Tensor::from_data(TensorData::new(values, shape), device).require_grad()
    }

    fn operands<B: Backend>(
        cell: Cell,
        [n_steps, batch, d_hidden]: [usize; 3],
        device: &B::Device,
    ) -> Operands<B> {
        let rows = cell.gates() * d_hidden;
        let scale = (d_hidden as f32).sqrt().recip();
        Operands {
            input: leaf([n_steps, batch, 2], 1.0, device),
            hidden: leaf([batch, d_hidden], 0.9, device),
            cell: cell.has_cell_state().then(|| leaf([batch, d_hidden], 0.8, device)),
            weight_ih: leaf([rows, 2], 0.5, device),
            weight_hh: leaf([rows, d_hidden], scale, device),
            bias_ih: Some(leaf([rows], 0.3, device)),
            bias_hh: Some(leaf([rows], 0.2, device)),
            norm: None,
            zoneout: None,
        }
    }

    struct Launches;

    impl Task for Launches {
        type Output = ();

        fn run<B: TrainBackend>(self, device: B::Device) {
            let n_steps = 6;
            for cell in CELLS {
                for d_hidden in [8, ONE_GROUP + 1] {
                    let operands = operands::<B>(cell, [n_steps, 3, d_hidden], &device);
                    let sequence = Sequence { cell, reverse: false, lengths: None, kernel: Kernel::Auto };
                    launches::<B>(&device);
                    let packed = B::recurrent(&sequence, operands);
                    let forward = launches::<B>(&device);
                    packed.sum().backward();
                    let backward = launches::<B>(&device);
                    let what = format!("{cell:?}, H {d_hidden}: {forward} and {backward} launches");
                    assert!((1..=2 * n_steps).contains(&forward), "{what}");
                    assert!((1..=3 * n_steps).contains(&backward), "{what}");
                    let one_group = d_hidden <= ONE_GROUP;
                    assert_eq!(one_group, forward == 1 && backward == 1, "{what}");
                }
            }
        }
    }

    #[test]
    fn a_time_step_takes_few_launches() {
        on::<PlainWgpu, _>(Launches);
    }

    #[test]
    fn a_time_step_takes_few_launches_under_fusion() {
        on::<Fusion<PlainWgpu>, _>(Launches);
    }

    /// The result and all gradients of many workgroups, and of one group over several launches, in
    /// both directions, and where not everything is there or asked for.
    #[derive(Clone, Copy)]
    struct Run(Kernel);

    impl Task for Run {
        type Output = Vec<(String, TensorData)>;

        fn run<B: TrainBackend>(self, device: B::Device) -> Self::Output {
            let Self(kernel) = self;
            let mut outputs = Vec::new();
            for cell in CELLS {
                let mut cases = vec![
                    (true, [3, 5, ONE_GROUP + 1], true),
                    (false, [2, 1, ONE_GROUP + UNITS], true),
                    (false, [3, 2, 5], false),
                ];
                // Long enough for two launches.
                cases.extend((cell == Cell::GruBefore).then_some((true, [TICKS / 2 + 1, 2, 4], true)));
                for (reverse, size, whole) in cases {
                    let mut operands = operands::<B>(cell, size, &device);
                    if !whole {
                        operands.input = operands.input.set_require_grad(false);
                        operands.bias_hh = None;
                    }
                    let lengths = whole.then(|| (0..size[1]).map(|b| size[0] - b % size[0]).collect());
                    let sequence = Sequence { cell, reverse, lengths, kernel };
                    let packed = B::recurrent(&sequence, operands.clone());
                    let seed = leaf::<B, 3>(packed.dims(), 1.0, &device).detach();
                    let grads = (packed.clone() * seed).sum().backward();
                    let parts = [
                        Some(packed.into_data()),
                        operands.input.grad(&grads).map(Tensor::into_data),
                        operands.hidden.grad(&grads).map(Tensor::into_data),
                        operands.cell.and_then(|cell| cell.grad(&grads)).map(Tensor::into_data),
                        operands.weight_ih.grad(&grads).map(Tensor::into_data),
                        operands.weight_hh.grad(&grads).map(Tensor::into_data),
                        operands.bias_ih.and_then(|bias| bias.grad(&grads)).map(Tensor::into_data),
                        operands.bias_hh.and_then(|bias| bias.grad(&grads)).map(Tensor::into_data),
                    ];
                    let absent = usize::from(!cell.has_cell_state()) + if whole { 0 } else { 2 };
                    assert_eq!(parts.iter().flatten().count(), parts.len() - absent, "{cell:?}, {size:?}");
                    outputs.extend(
                        parts
                            .into_iter()
                            .enumerate()
                            .filter_map(|(k, part)| Some((format!("{cell:?}, {size:?}, part {k}"), part?))),
                    );
                }
            }
            outputs
        }
    }

    #[test]
    fn every_way_of_launching_agrees_with_the_composed_body() {
        let Some(reference) = on::<PlainWgpu, _>(Run(Kernel::Reference)) else { return };
        for runs in [on::<PlainWgpu, _>(Run(Kernel::Fused)), on::<Fusion<PlainWgpu>, _>(Run(Kernel::Fused))] {
            let runs = runs.expect("it ran before");
            assert_eq!(runs.len(), reference.len());
            for ((what, got), (_, expected)) in runs.iter().zip(&reference) {
                assert_eq!(got.shape, expected.shape, "{what}");
                for (got, expected) in got.iter::<f32>().zip(expected.iter::<f32>()) {
                    let close = (got - expected).abs() <= 1e-5 + 1e-4 * expected.abs();
                    assert!(close, "{what}: {got}, expected {expected}");
                }
            }
        }
    }

    /// The gradient on another thread than the result, of which its values do not need to know.
    struct Elsewhere;

    impl Task for Elsewhere {
        type Output = [TensorData; 2];

        fn run<B: TrainBackend>(self, device: B::Device) -> Self::Output {
            let run = |elsewhere| {
                let operands = operands::<B>(Cell::Lstm, [4, 2, 3], &device);
                let sequence =
                    Sequence { cell: Cell::Lstm, reverse: false, lengths: None, kernel: Kernel::Auto };
                let packed = B::recurrent(&sequence, operands.clone());
                let backward = move || packed.sum().backward();
                let grads = if elsewhere { thread::spawn(backward).join().unwrap() } else { backward() };
                operands.weight_hh.grad(&grads).unwrap().into_data()
            };
            [false, true].map(run)
        }
    }

    #[test]
    fn a_gradient_may_be_asked_for_on_another_thread() {
        for [here, elsewhere] in
            [on::<PlainWgpu, _>(Elsewhere), on::<Fusion<PlainWgpu>, _>(Elsewhere)].into_iter().flatten()
        {
            assert_eq!(here, elsewhere);
        }
    }
}
