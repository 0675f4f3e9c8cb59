#!/usr/bin/env python3
"""`rnn-zoo bench` beside PyTorch and ONNX Runtime on this machine, as Markdown tables.

    python benches/compare.py [--passes N] [--reps N] [--threads N] [--only layer|stream|lm] [--cell rnn|gru|lstm]

Runs target/release/rnn-zoo and benches/peers.py (with this Python) in turns, pass after pass, a case and
a cell at a time: what else the machine does meets all of them. A number is the median over the passes.
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
# What is timed: its name, its case, its key.
TIMES = [
    ("training", "layer", "train_ms"),
    ("forward", "layer", "forward_ms"),
    ("one step", "stream", "step_ms"),
    ("language model, training step", "lm", "step_ms"),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/rnn-zoo", help="our program")
    parser.add_argument("--backend", default="ndarray", help="our backend (default: ndarray)")
    parser.add_argument("--device", default="cpu", help="our device (default: cpu)")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--reps", type=int, default=7, help="timed runs a pass")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", choices=["layer", "stream", "lm"], help="these cases alone")
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
    """Times by key, cell, shape and implementation, one a pass; what each implementation says of itself."""
    programs = {OURS: [args.program, "bench", "--json", "--backend", args.backend, "--device", args.device]}
    programs |= {name: [sys.executable, ROOT / "benches/peers.py", "--peer", name] for name in PEERS}
    cells = [cell.lower() for cell in CELLS if args.cell in (None, cell.lower())]
    groups = [(case, cell) for case in ("layer", "stream") for cell in cells]
    groups += [("lm", "lstm")] if "lstm" in cells else []
    groups = [(case, cell) for case, cell in groups if args.only in (None, case)]
    if not groups:
        sys.exit("error: the language models are LSTMs: leave out --cell, or --only lm")
    times, machines = defaultdict(list), defaultdict(list)
    for n in range(args.passes):
        for case, cell in groups:
            for name, program in programs.items():
                if (case, name) == ("lm", "ort"):
                    continue
                print(f"pass {n + 1}/{args.passes}: {case} {cell}: {name}", file=sys.stderr, flush=True)
                options = {"--only": case, "--cell": cell, "--reps": args.reps, "--threads": args.threads}
                command = [str(part) for part in program + [part for option in options.items() for part in option]]
                for row in rows(command, args.threads):
                    if row["case"] == "machine":
                        machines[name].append(row)
                        continue
                    shape = " ".join(f"{key}{row[key]}" for key in "VEBTIHL" if key in row)
                    for _, case_of_time, key in TIMES:
                        if case_of_time == row["case"] and key in row:
                            times[case_of_time, key, cell.upper(), shape, name].append(row[key])
    return {key: statistics.median(values) for key, values in times.items()}, machines


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def table(cell, times):
    """Markdown lines of one cell's times."""
    peers = PEERS.values()
    lines = [f"### {cell}", "", f"| | shape | rnn-zoo, ms | {', ms | '.join(peers)}, ms | fastest peer : rnn-zoo |"]
    lines.append("|---|---|--:|" + "--:|" * len(PEERS) + "--:|")
    for title, case, key in TIMES:
        shapes = list(dict.fromkeys(k[3] for k in times if k[:3] == (case, key, cell)))
        ratios = []
        for shape in shapes:
            ours, *others = (times.get((case, key, cell, shape, name)) for name in (OURS, *PEERS))
            ratios.append(min(other for other in others if other) / ours)
            numbers = " | ".join(f"{ms:.4g}" if ms else "–" for ms in (ours, *others))
            lines.append(f"| {title} | {shape} | {numbers} | {ratios[-1]:.2f} |")
        if len(shapes) > 1:
            blank = " |" * (1 + len(PEERS))
            lines.append(f"| **{title}** | geometric mean |{blank} **{geometric_mean(ratios):.2f}** |")
    return lines


def main():
    args = arguments()
    times, machines = measure(args)
    ours, versions = machines[OURS][0], machines["torch"][0] | (machines["ort"] or [{}])[0]
    product = statistics.median(row["matmul_gflops"] for row in machines[OURS])
    print(
        f"{processor()}, {ours['threads']} threads; rnn-zoo {ours['rnn_zoo']} on burn {ours['burn']}, "
        f"{ours['backend']} {ours['device']} (matrix product: {product:.0f} GFLOP/s); PyTorch {versions['torch']}"
        + (f", ONNX Runtime {versions['onnxruntime']}" if "onnxruntime" in versions else "")
        + f"; medians of {args.passes} passes of {args.reps} runs each."
    )
    for cell in CELLS:
        if any(key[2] == cell for key in times):
            print("\n" + "\n".join(table(cell, times)))


if __name__ == "__main__":
    main()
