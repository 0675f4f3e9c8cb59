#!/usr/bin/env python3
"""`rnn-zoo bench` beside PyTorch and ONNX Runtime on this machine, or beside burn's own layers: Markdown tables.

    python benches/compare.py [--passes N] [--reps N] [--threads N] [--only layer|stream|lm|memory]
                              [--cell rnn|gru|lstm] [--backend NAME] [--against reference,burn-nn]

Runs target/release/rnn-zoo and benches/peers.py (with this Python) in turns, pass after pass, a case and
a cell at a time: what else the machine does meets all of them. A number is the median over the passes.
With --against the others are implementations of rnn-zoo's own backend, and layers alone are compared.
Progress goes to stderr.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS, PEERS = "rnn-zoo", {"torch": "PyTorch", "ort": "ONNX Runtime"}
CELLS = ["LSTM", "GRU", "RNN"]
# What is measured: its name, its unit and what that is in the rows' own, its case, its key.
MEASURES = [
    ("training", "ms", 1, "layer", "train_ms"),
    ("forward", "ms", 1, "layer", "forward_ms"),
    ("one step", "ms", 1, "stream", "step_ms"),
    ("language model, training step", "ms", 1, "lm", "step_ms"),
    ("peak memory of training", "MiB", 2**20, "memory", "peak_bytes"),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/rnn-zoo", help="our program")
    parser.add_argument("--backend", default="ndarray", help="our backend (default: ndarray)")
    parser.add_argument("--device", default="cpu", help="our device (default: cpu)")
    parser.add_argument("--against", type=lambda names: names.split(","), default=[], help="reference, burn-nn or both")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--reps", type=int, default=7, help="timed runs a pass")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", choices=["layer", "stream", "lm", "memory"], help="these cases alone")
    parser.add_argument("--cell", choices=[cell.lower() for cell in CELLS], help="this cell alone")
    args = parser.parse_args()
    if min(args.passes, args.reps, args.threads) < 1:
        parser.error("--passes, --reps and --threads are 1 or more")
    if not args.program.is_file():
        parser.error(f"there is no {args.program}: cargo build --release")
    return args


def rows(command, threads):
    """The rows that a program prints."""
    # Pools that a backend brings along.
    pools = {name: str(threads) for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")}
    run = subprocess.run(command, env=os.environ | pools, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"error: {' '.join(command)}: {run.stderr.strip() or f'exit status {run.returncode}'}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def measure(args):
    """Medians by key, cell, shape and implementation; what each implementation says of itself."""
    programs = {OURS: [args.program, "bench", "--json", "--backend", args.backend, "--device", args.device]}
    if args.against:
        programs[OURS] += ["--against", ",".join(args.against)]
    else:
        programs |= {name: [sys.executable, ROOT / "benches/peers.py", "--peer", name] for name in PEERS}
    cells = [cell.lower() for cell in CELLS if args.cell in (None, cell.lower())]
    groups = [(case, cell) for case in ("layer", "stream", "memory") for cell in cells]
    groups += [("lm", "lstm")] if "lstm" in cells else []
    groups = [(case, cell) for case, cell in groups if args.only in (None, case)]
    if args.against:
        groups = [(case, cell) for case, cell in groups if case in ("layer", "memory")]
    if not groups:
        sys.exit("error: nothing is left to compare: the language models are LSTMs, and --against has layers alone")
    values, machines = defaultdict(list), defaultdict(list)
    for n in range(args.passes):
        for case, cell in groups:
            for name, program in programs.items():
                if case in ("lm", "memory") and name == "ort":
                    continue
                print(f"pass {n + 1}/{args.passes}: {case} {cell}: {name}", file=sys.stderr, flush=True)
                options = {"--only": case, "--cell": cell, "--reps": args.reps, "--threads": args.threads}
                command = [str(part) for part in program + [part for option in options.items() for part in option]]
                for row in rows(command, args.threads):
                    if row["case"] == "machine":
                        machines[name].append(row)
                        continue
                    shape = " ".join(f"{key}{row[key]}" for key in "VEBTIHL" if key in row)
                    for *_, case_of_key, key in MEASURES:
                        if case_of_key == row["case"] and key in row:
                            values[case_of_key, key, cell.upper(), shape, row["implementation"]].append(row[key])
    return {key: statistics.median(numbers) for key, numbers in values.items()}, machines


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def table(cell, medians, peers):
    """Markdown lines of one cell's numbers."""
    titles = [PEERS.get(name, name) for name in peers]
    lines = [f"### {cell}", "", f"| | shape | rnn-zoo | {' | '.join(titles)} | best peer : rnn-zoo |"]
    lines.append("|---|---|--:|" + "--:|" * len(peers) + "--:|")
    for title, unit, scale, case, key in MEASURES:
        shapes = list(dict.fromkeys(k[3] for k in medians if k[:3] == (case, key, cell)))
        ratios = []
        for shape in shapes:
            ours, *others = (medians.get((case, key, cell, shape, name)) for name in (OURS, *peers))
            if not any(others):
                continue
            ratios.append(min(other for other in others if other) / ours)
            numbers = " | ".join(f"{number / scale:.4g}" if number else "–" for number in (ours, *others))
            lines.append(f"| {title}, {unit} | {shape} | {numbers} | {ratios[-1]:.2f} |")
        if len(ratios) > 1:
            blank = " |" * (1 + len(peers))
            lines.append(f"| **{title}** | geometric mean |{blank} **{geometric_mean(ratios):.2f}** |")
    return lines


def main():
    args = arguments()
    medians, machines = measure(args)
    ours = machines[OURS][0]
    product = statistics.median(row["matmul_gflops"] for row in machines[OURS])
    versions = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
    others = [f"{title} {said[0][key]}" for key, title in versions.items() for said in machines.values() if key in said[0]]
    print(
        f"{processor()}, {ours['threads']} threads; rnn-zoo {ours['rnn_zoo']} on burn {ours['burn']}, "
        f"{ours['backend']} {ours['device']} (matrix product: {product:.0f} GFLOP/s)"
        + "".join(f"; {other}" for other in others)
        + f"; medians of {args.passes} passes of {args.reps} runs each."
    )
    for cell in CELLS:
        if any(key[2] == cell for key in medians):
            print("\n" + "\n".join(table(cell, medians, args.against or PEERS)))


if __name__ == "__main__":
    main()
