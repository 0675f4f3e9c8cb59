#!/usr/bin/env python3
"""How the time per token grows with T, H and B: a plot, and its numbers as Markdown.

    python benches/growth.py [--program PATH] [--passes N] [--threads N] [--plot PATH]

Runs target/release/rnn-zoo bench --only growth, an LSTM, a GRU and an RNN in turns, a minute each: a number is the
best of the passes, since what else the machine does only adds to it. The tables go to stdout, the plot to
benches/growth.svg, progress to stderr.
"""

import argparse
import math
import os
import sys
from pathlib import Path

from compare import ROOT, processor, rows

CELLS = ["LSTM", "GRU", "RNN"]
# What is timed, its key, and how its lines are drawn.
TIMES = [("training", "train_us_per_token", ""), ("forward", "forward_us_per_token", ' stroke-dasharray="5 3"')]
RATE = "train_gflops"
COLOURS = {"LSTM": "#0072b2", "GRU": "#d55e00", "RNN": "#009e73"}
# A panel's place in the plot, in pixels.
WIDTH, HEIGHT, LEFT, TOP, GAP = 270, 250, 60, 50, 70


def title(over, row):
    """What does not grow."""
    return " ".join(f"{key}{row[key]}" for key in "BTIHL" if key != over and (over, key) != ("H", "I"))


def table(over, by_cell):
    """Markdown lines of what grows with `over`."""
    columns = [f"{cell} {time}" for cell in by_cell for time, *_ in TIMES]
    rates = [f"{cell}, GFLOP/s" for cell in by_cell]
    name = "I = H" if over == "H" else over
    lines = [f"| {name} | {' | '.join(columns + rates)} |", "|--:" * (1 + len(columns + rates)) + "|"]
    for together in zip(*by_cell.values()):
        cells = [f"{row[key]:.3g}" for row in together for _, key, _ in TIMES]
        cells += [f"{row[RATE]:.0f}" for row in together]
        lines.append(f"| {together[0][over]} | {' | '.join(cells)} |")
    return lines


def panel(left, over, by_cell):
    """The lines of one panel, both axes logarithmic."""
    xs = [math.log2(row[over]) for row in next(iter(by_cell.values()))]
    ys = [math.log10(row[key]) for grown in by_cell.values() for row in grown for _, key, _ in TIMES]
    low, high = math.floor(min(ys) * 3) / 3, math.ceil(max(ys) * 3) / 3

    def x(value):
        return left + WIDTH * (math.log2(value) - xs[0]) / (xs[-1] - xs[0])

    def y(value):
        return TOP + HEIGHT * (high - math.log10(value)) / (high - low)

    first = next(iter(by_cell.values()))[0]
    svg = [f'<text x="{left + WIDTH / 2}" y="{TOP - 12}" text-anchor="middle">over {over}: {title(over, first)}</text>']
    svg.append(f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>')
    for power in range(math.ceil(xs[0]), math.floor(xs[-1]) + 1, 1 if xs[-1] - xs[0] < 7 else 2):
        at = f"{x(2**power):.1f}"
        svg.append(f'<line x1="{at}" x2="{at}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="#ddd"/>')
        svg.append(f'<text x="{at}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{2**power}</text>')
    ticks = [step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in (1, 2, 5)]
    for tick in (tick for tick in ticks if low <= math.log10(tick) <= high):
        at = f"{y(tick):.1f}"
        svg.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{at}" y2="{at}" stroke="#ddd"/>')
        svg.append(f'<text x="{left - 6}" y="{at}" dy="4" text-anchor="end">{tick:g}</text>')
    for cell, rows_of_cell in by_cell.items():
        for _, key, dashes in TIMES:
            points = [(f"{x(row[over]):.1f}", f"{y(row[key]):.1f}") for row in rows_of_cell]
            line = " ".join(",".join(point) for point in points)
            svg.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[cell]}" stroke-width="2"{dashes}/>')
            svg += [f'<circle cx="{cx}" cy="{cy}" r="2.5" fill="{COLOURS[cell]}"/>' for cx, cy in points]
    return svg


def plot(by_axis):
    """The SVG file's text: a panel for each of what grows."""
    width, height = len(by_axis) * (WIDTH + GAP) + GAP / 2, TOP + HEIGHT + 60
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-family="sans-serif"']
    svg[0] += ' font-size="12">'
    svg.append('<rect width="100%" height="100%" fill="white"/>')
    svg.append(f'<text x="{LEFT}" y="18" font-weight="bold">µs per token</text>')
    for k, (over, by_cell) in enumerate(by_axis.items()):
        svg += panel(LEFT + k * (WIDTH + GAP), over, by_cell)
    at, base = LEFT, TOP + HEIGHT + 42
    for cell in CELLS:
        for time, _, dashes in TIMES:
            stroke = f'stroke="{COLOURS[cell]}" stroke-width="2"{dashes}'
            svg.append(f'<line x1="{at}" x2="{at + 30}" y1="{base}" y2="{base}" {stroke}/>')
            svg.append(f'<text x="{at + 36}" y="{base}" dy="4">{cell} {time}</text>')
            at += 150
    return "\n".join([*svg, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/rnn-zoo", help="our program")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--plot", type=Path, default=ROOT / "benches/growth.svg", help="where the plot goes")
    args = parser.parse_args()
    if not args.program.is_file():
        parser.error(f"there is no {args.program}: cargo build --release")
    machines, passes = [], {cell: [] for cell in CELLS}
    for n in range(args.passes):
        for cell in CELLS:
            print(f"pass {n + 1}/{args.passes}: {cell}", file=sys.stderr, flush=True)
            options = ["--backend", "ndarray", "--threads", args.threads, "--reps", 2]
            command = [args.program, "bench", "--json", "--only", "growth", "--cell", cell.lower(), *options]
            machine, *grown = rows([str(part) for part in command], args.threads)
            machines.append(machine)
            passes[cell].append(grown)
    by_axis = {}
    for cell, grown in passes.items():
        for same in zip(*grown):
            keys = [key for _, key, _ in TIMES] + [RATE]
            row = same[0] | {key: (max if key == RATE else min)(row[key] for row in same) for key in keys}
            by_axis.setdefault(row["over"], {}).setdefault(cell, []).append(row)
    args.plot.write_text(plot(by_axis), encoding="utf-8")
    product = max(machine["matmul_gflops"] for machine in machines)
    print(
        f"{processor()}, {machines[0]['threads']} threads (matrix product: {product:.0f} GFLOP/s), µs per token, the "
        f"best of {args.passes} passes; GFLOP/s are training's."
    )
    for over, by_cell in by_axis.items():
        first = next(iter(by_cell.values()))[0]
        print(f"\nOver {over}, {title(over, first)}:\n\n" + "\n".join(table(over, by_cell)))


if __name__ == "__main__":
    main()
