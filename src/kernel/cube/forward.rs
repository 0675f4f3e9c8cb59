//! The kernel of the forward direction.

use super::product::*;
use crate::kernel::Cell;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Runs the ticks `from..to`.
///
/// * weight: the recurrent ones transposed, `[H, G·H]`
/// * bias: `[3·H]`, [`Cell::GruAfter`] only
/// * lengths: `[B]`
/// * gates: `[T, B, G·H]`, the projected input, which the gates replace
/// * hidden: `[T + 1, B, H]`, the first state in its place
/// * extra: LSTM: the cell states, as the hidden ones; GRU: `[T, B, H]`, `U_n h + d_n` or `r h`
/// * packed: the result
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
pub(super) fn forward_ticks(
    weight: &Array<f32>,
    bias: &Array<f32>,
    lengths: &Array<u32>,
    gates: &mut Array<f32>,
    hidden: &mut Array<f32>,
    extra: &mut Array<f32>,
    packed: &mut Array<f32>,
    from: usize,
    to: usize,
    extent: &Extent,
    #[comptime] cell: Cell,
    #[comptime] tile: Tile,
) {
    let n_gates = comptime!(cell.gates());
    let phases = comptime!(phases(cell));
    let mut partial = SharedMemory::<f32>::new(comptime!(tile.shared()));
    let d_hidden = extent.d_hidden;
    let width = n_gates * d_hidden;
    let block = extent.batch * d_hidden;
    let n_tiles = d_hidden.div_ceil(comptime!(tile.width()));

    for tick in from..to {
        let step = tick / phases;
        let ends_step = tick % phases == phases - 1;
        let mut t = step;
        let mut before = step;
        let mut after = step + 1;
        if extent.reverse == 1 {
            t = extent.n_steps - 1 - step;
            before = t + 1;
            after = t;
        }

        for k in range_stepped(CUBE_POS_X as usize, n_tiles, CUBE_COUNT_X as usize) {
            let first_unit = k * comptime!(tile.width()) + UNIT_POS_X as usize;
            let mut terms = Terms {
                source_at: before * block,
                source_width: d_hidden,
                weight_at: 0,
                weight_stride: width,
                depth: d_hidden,
            };
            if comptime!(cell == Cell::GruBefore) {
                if ends_step {
                    terms.source_at = t * block;
                    terms.weight_at += 2 * d_hidden;
                    product(&mut partial, extra, weight, terms, first_unit, extent, 1usize, tile);
                } else {
                    product(&mut partial, hidden, weight, terms, first_unit, extent, 2usize, tile);
                }
            } else {
                product(&mut partial, hidden, weight, terms, first_unit, extent, n_gates, tile);
            }
            sync_cube();

            for item in range_stepped(UNIT_POS_Y as usize, comptime!(tile.units * tile.rows), SLICES) {
                let unit = first_unit + item / tile.rows * UNITS;
                let sequence = CUBE_POS_Y as usize * tile.rows + item % tile.rows;
                if sequence < extent.batch && unit < d_hidden {
                    let at = sequence * d_hidden + unit;
                    let here = t * block + at;
                    let old = hidden[before * block + at];
                    // The gates' blocks of this row, by their order in the weights.
                    let g0 = (t * extent.batch + sequence) * width + unit;
                    let g1 = g0 + d_hidden;
                    let g2 = g1 + d_hidden;
                    let g3 = g2 + d_hidden;

                    if ends_step {
                        let valid = t < lengths[sequence] as usize;
                        let last = step == extent.n_steps - 1;
                        let new = if comptime!(cell == Cell::RnnTanh) {
                            let new = (gates[g0] + total(&partial, 0, item, tile)).tanh();
                            gates[g0] = new;
                            new
                        } else if comptime!(cell == Cell::RnnRelu) {
                            let new = max(gates[g0] + total(&partial, 0, item, tile), 0.0);
                            gates[g0] = new;
                            new
                        } else if comptime!(cell == Cell::Lstm) {
                            let i = sigmoid(gates[g0] + total(&partial, 0, item, tile));
                            let f = sigmoid(gates[g1] + total(&partial, 1, item, tile));
                            let g = (gates[g2] + total(&partial, 2, item, tile)).tanh();
                            let o = sigmoid(gates[g3] + total(&partial, 3, item, tile));
                            gates[g0] = i;
                            gates[g1] = f;
                            gates[g2] = g;
                            gates[g3] = o;
                            let old_cell = extra[before * block + at];
                            let new_cell = f * old_cell + i * g;
                            let kept_cell = select(valid, new_cell, old_cell);
                            extra[after * block + at] = kept_cell;
                            if last {
                                packed[(extent.n_steps + 1) * block + at] = kept_cell;
                            }
                            o * new_cell.tanh()
                        } else if comptime!(cell == Cell::GruAfter) {
                            let r = sigmoid(gates[g0] + total(&partial, 0, item, tile) + bias[unit]);
                            let z =
                                sigmoid(gates[g1] + total(&partial, 1, item, tile) + bias[d_hidden + unit]);
                            let recurrent_n = total(&partial, 2, item, tile) + bias[2 * d_hidden + unit];
                            let n = (gates[g2] + r * recurrent_n).tanh();
                            gates[g0] = r;
                            gates[g1] = z;
                            gates[g2] = n;
                            extra[here] = recurrent_n;
                            n + z * (old - n)
                        } else {
                            let z = gates[g1];
                            let n = (gates[g2] + total(&partial, 0, item, tile)).tanh();
                            gates[g2] = n;
                            n + z * (old - n)
                        };
                        let kept = select(valid, new, old);
                        hidden[after * block + at] = kept;
                        packed[here] = select(valid, new, 0.0);
                        if last {
                            packed[extent.n_steps * block + at] = kept;
                        }
                    } else if comptime!(cell == Cell::GruBefore) {
                        let r = sigmoid(gates[g0] + total(&partial, 0, item, tile));
                        gates[g0] = r;
                        gates[g1] = sigmoid(gates[g1] + total(&partial, 1, item, tile));
                        extra[here] = r * old;
                    }
                }
            }
            sync_cube();
        }
        sync_storage();
    }
}
