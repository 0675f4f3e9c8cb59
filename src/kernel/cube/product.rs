//! What both directions share: a product with the recurrent weights, shared out among a workgroup.

use crate::kernel::Cell;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Neighbouring invocations, which read neighbouring weights.
pub(super) const UNITS: usize = 32;
/// Slices that a workgroup cuts each of its sums into.
pub(super) const SLICES: usize = 8;

/// What each invocation sums up: a term that is read once serves several sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Products of a unit.
    pub gates: usize,
    /// Units, [`UNITS`] apart.
    pub units: usize,
    /// Batch rows.
    pub rows: usize,
}

impl Tile {
    /// Four sums a batch row, or close.
    pub fn new(gates: usize, rows: usize) -> Self {
        Self { gates, units: (4 / gates).max(1), rows }
    }

    /// Hidden units of a workgroup.
    pub fn width(self) -> usize {
        self.units * UNITS
    }

    /// Elements of shared memory.
    pub fn shared(self) -> usize {
        self.gates * self.units * self.rows * SLICES * UNITS
    }
}

/// Ticks of a time step.
pub(super) fn phases(cell: Cell) -> usize {
    1 + usize::from(cell == Cell::GruBefore)
}

/// What holds for every tick of a sequence.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Extent {
    pub n_steps: usize,
    pub batch: usize,
    pub d_hidden: usize,
    /// 1 where time runs from the end.
    pub reverse: usize,
}

/// Where the terms of a product lie: `Σ_k source[at + row · width + k] · weight[at + k · stride + unit]`.
#[derive(CubeType)]
pub(super) struct Terms {
    pub source_at: usize,
    pub source_width: usize,
    pub weight_at: usize,
    pub weight_stride: usize,
    pub depth: usize,
}

/// Leaves in `partial` this slice's share of the tile's products, the gates' weights H apart, for
/// the units from `unit`.
#[cube]
#[allow(clippy::too_many_arguments)]
pub(super) fn product(
    partial: &mut SharedMemory<f32>,
    source: &Array<f32>,
    weight: &Array<f32>,
    terms: Terms,
    unit: usize,
    extent: &Extent,
    #[comptime] gates: usize,
    #[comptime] tile: Tile,
) {
    let rows = comptime!(tile.rows);
    let mut sums = Array::<f32>::new(comptime!(gates * tile.units * rows));
    let mut state = Array::<f32>::new(rows);
    let mut sources = Array::<usize>::new(rows);
    let mut units = Array::<usize>::new(comptime!(tile.units));
    // Past the last sequence or unit the last one again: such sums are not used.
    #[unroll]
    for row in 0..rows {
        let sequence = min(CUBE_POS_Y as usize * rows + row, extent.batch - 1);
        sources[row] = terms.source_at + sequence * terms.source_width;
    }
    #[unroll]
    for i in 0..tile.units {
        units[i] = terms.weight_at + min(unit + i * UNITS, extent.d_hidden - 1);
    }
    #[unroll]
    for i in 0..gates * tile.units * rows {
        sums[i] = 0.0;
    }
    // Rows, units and k are in range, and the entrance held the shapes against each other.
    for k in range_stepped(UNIT_POS_Y as usize, terms.depth, SLICES) {
        #[unroll]
        for row in 0..rows {
            state[row] = source.read_unchecked(sources[row] + k);
        }
        #[unroll]
        for gate in 0..gates {
            let at = k * terms.weight_stride + gate * extent.d_hidden;
            #[unroll]
            for i in 0..tile.units {
                let w = weight.read_unchecked(at + units[i]);
                #[unroll]
                for row in 0..rows {
                    sums[(gate * tile.units + i) * rows + row] += w * state[row];
                }
            }
        }
    }
    let at = UNIT_POS_Y as usize * UNITS + UNIT_POS_X as usize;
    #[unroll]
    for i in 0..gates * tile.units * rows {
        partial[i * SLICES * UNITS + at] = sums[i];
    }
}

/// A gate's product for one unit and row of the tile, `item = unit · rows + row`, from all slices.
#[cube]
pub(super) fn total(partial: &SharedMemory<f32>, gate: usize, item: usize, #[comptime] tile: Tile) -> f32 {
    let at = (gate * tile.units * tile.rows + item) * SLICES * UNITS + UNIT_POS_X as usize;
    let mut sum = 0.0f32;
    #[unroll]
    for slice in 0..SLICES {
        sum += partial[at + slice * UNITS];
    }
    sum
}

/// By way of tanh, as the composed body's.
#[cube]
pub(super) fn sigmoid(x: f32) -> f32 {
    (x * 0.5).tanh() * 0.5 + 0.5
}

/// `1 - y²` for `y = tanh(x)`.
#[cube]
pub(super) fn tanh_slope(y: f32) -> f32 {
    1.0 - y * y
}

/// `y (1 - y)` for `y = sigmoid(x)`.
#[cube]
pub(super) fn sigmoid_slope(y: f32) -> f32 {
    y - y * y
}
