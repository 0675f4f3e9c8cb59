//! The kernel of the backward direction.

use super::product::*;
use crate::kernel::Cell;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// Runs the ticks `from..to`. A step's tick starts with the product that ends the step after it;
/// the tick after the last step's has nothing else.
///
/// * weight: the recurrent ones, `[G·H, H]`
/// * lengths: `[B]`
/// * grad: of the packed result
/// * gates, hidden, extra: what the forward direction left there
/// * d_gates: `[T, B, G·H]`, the gradient with respect to what the input's product gave
/// * d_recurrent: GRU with the reset after: with respect to what the recurrent product gave
/// * d_hidden: `[B, H]`, of the state before the first step in the end
/// * d_cell: the same, LSTM only
#[cube(launch)]
#[allow(clippy::too_many_arguments)]
pub(super) fn backward_ticks(
    weight: &Array<f32>,
    lengths: &Array<u32>,
    grad: &Array<f32>,
    gates: &Array<f32>,
    hidden: &Array<f32>,
    extra: &Array<f32>,
    d_gates: &mut Array<f32>,
    d_recurrent: &mut Array<f32>,
    d_state: &mut Array<f32>,
    d_cell: &mut Array<f32>,
    from: usize,
    to: usize,
    extent: &Extent,
    #[comptime] cell: Cell,
    #[comptime] tile: Tile,
) {
    let n_gates = comptime!(cell.gates());
    let phases = comptime!(phases(cell));
    let mut partial = SharedMemory::<f32>::new(comptime!(tile.shared()));
    let n_steps = extent.n_steps;
    let d_hidden = extent.d_hidden;
    let width = n_gates * d_hidden;
    let block = extent.batch * d_hidden;
    let n_tiles = d_hidden.div_ceil(comptime!(tile.width()));

    for tick in from..to {
        let step = tick / phases;
        let starts_step = tick % phases == 0;
        let first = step == 0;
        let last = step == n_steps;
        // `t` is not read in the last tick, nor `next` in the first.
        let mut t = n_steps - 1 - step;
        let mut next = n_steps - step;
        let mut before = t;
        let mut after = t + 1;
        if extent.reverse == 1 {
            t = step;
            next = step - 1;
            before = step + 1;
            after = step;
        }

        for k in range_stepped(CUBE_POS_X as usize, n_tiles, CUBE_COUNT_X as usize) {
            let first_unit = k * comptime!(tile.width()) + UNIT_POS_X as usize;
            let mut terms = Terms {
                source_at: next * extent.batch * width,
                source_width: width,
                weight_at: 0,
                weight_stride: d_hidden,
                depth: select(first, 0, width),
            };
            if comptime!(cell == Cell::GruAfter) {
                product(&mut partial, d_recurrent, weight, terms, first_unit, extent, 1usize, tile);
            } else {
                if comptime!(cell == Cell::GruBefore) {
                    if starts_step {
                        terms.depth = select(first, 0, 2 * d_hidden);
                    } else {
                        terms.source_at = t * extent.batch * width + 2 * d_hidden;
                        terms.weight_at += 2 * d_hidden * d_hidden;
                        terms.depth = d_hidden;
                    }
                }
                product(&mut partial, d_gates, weight, terms, first_unit, extent, 1usize, tile);
            }
            sync_cube();

            for item in range_stepped(UNIT_POS_Y as usize, comptime!(tile.units * tile.rows), SLICES) {
                let unit = first_unit + item / tile.rows * UNITS;
                let sequence = CUBE_POS_Y as usize * tile.rows + item % tile.rows;
                if sequence < extent.batch && unit < d_hidden {
                    let at = sequence * d_hidden + unit;
                    let here = t * block + at;
                    let g0 = (t * extent.batch + sequence) * width + unit;
                    let g1 = g0 + d_hidden;
                    let g2 = g1 + d_hidden;
                    let g3 = g2 + d_hidden;
                    let product = total(&partial, 0, item, tile);

                    if starts_step {
                        let passed = if first { grad[n_steps * block + at] } else { d_state[at] + product };
                        if last {
                            d_state[at] = passed;
                        } else {
                            let valid = t < lengths[sequence] as usize;
                            let dh = passed + grad[here];
                            // What reaches the state before this step other than through the product.
                            let mut direct = 0.0f32;
                            if comptime!(cell == Cell::RnnTanh) {
                                d_gates[g0] = select(valid, dh * tanh_slope(gates[g0]), 0.0);
                            } else if comptime!(cell == Cell::RnnRelu) {
                                d_gates[g0] = select(valid && gates[g0] > 0.0, dh, 0.0);
                            } else if comptime!(cell == Cell::Lstm) {
                                let i = gates[g0];
                                let f = gates[g1];
                                let g = gates[g2];
                                let o = gates[g3];
                                let passed_cell =
                                    if first { grad[(n_steps + 1) * block + at] } else { d_cell[at] };
                                let tanh = extra[after * block + at].tanh();
                                let dc = passed_cell + dh * o * tanh_slope(tanh);
                                d_gates[g0] = select(valid, dc * g * sigmoid_slope(i), 0.0);
                                let old_cell = extra[before * block + at];
                                d_gates[g1] = select(valid, dc * old_cell * sigmoid_slope(f), 0.0);
                                d_gates[g2] = select(valid, dc * i * tanh_slope(g), 0.0);
                                d_gates[g3] = select(valid, dh * tanh * sigmoid_slope(o), 0.0);
                                d_cell[at] = select(valid, dc * f, passed_cell);
                            } else {
                                let z = gates[g1];
                                let n = gates[g2];
                                let old = hidden[before * block + at];
                                let dz = select(valid, dh * (old - n) * sigmoid_slope(z), 0.0);
                                let dn = select(valid, dh * (1.0 - z) * tanh_slope(n), 0.0);
                                d_gates[g1] = dz;
                                d_gates[g2] = dn;
                                direct = dh * z;
                                if comptime!(cell == Cell::GruAfter) {
                                    let r = gates[g0];
                                    let dr = dn * extra[here] * sigmoid_slope(r);
                                    d_gates[g0] = dr;
                                    d_recurrent[g0] = dr;
                                    d_recurrent[g1] = dz;
                                    d_recurrent[g2] = dn * r;
                                }
                            }
                            d_state[at] = select(valid, direct, passed);
                        }
                    } else if comptime!(cell == Cell::GruBefore) {
                        // Of an ended sequence the product is zero.
                        let r = gates[g0];
                        d_gates[g0] = product * hidden[before * block + at] * sigmoid_slope(r);
                        d_state[at] += product * r;
                    }
                }
            }
            sync_cube();
        }
        sync_storage();
    }
}
