#!/usr/bin/env python3
"""PyTorch and ONNX Runtime on the cases of `rnn-zoo bench`, with the same keys: one JSON object a line.

    python benches/peers.py [--peer torch|ort] [--only layer|stream|lm|memory] [--cell rnn|gru|lstm] [--threads N]
                            [--reps N]

Times are medians in milliseconds. ONNX Runtime does not train: it has no `train_ms`, no `lm` and no `memory`.
Needs the packages torch==2.9.0, onnx and onnxruntime; torch writes the ONNX files.
"""

import argparse
import ctypes
import io
import json
import re
import statistics
import time
import warnings
from pathlib import Path

import torch
from torch import nn

CELLS = {"RNN": (nn.RNN, 1), "GRU": (nn.GRU, 3), "LSTM": (nn.LSTM, 4)}
# B, T, I, H, L
LAYERS = [
    (32, 64, 256, 256, 2),
    (64, 35, 200, 200, 2),
    (1, 128, 128, 256, 1),
    (128, 64, 64, 512, 1),
    (20, 35, 650, 650, 2),
]
# H, L
STREAMS = [(256, 2), (512, 2)]
# V, E, H, L, B, T
LMS = [(65, 128, 512, 2, 64, 128), (10_000, 200, 200, 2, 20, 20)]


def median_ms(call, reps, warm=2):
    """The median time of `reps` calls after `warm` others."""

    def once():
        started = time.perf_counter()
        call()
        return 1e3 * (time.perf_counter() - started)

    for _ in range(warm):
        once()
    return statistics.median(once() for _ in range(reps))


def peak():
    """The most bytes of memory that this process has held."""
    return int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) << 10


def peak_bytes(step, reps, warm=2):
    """Memory of this process at the peak of `reps` steps, above what it holds between steps."""
    for _ in range(warm):
        step()
    # Freed memory goes back to the system, and the peak is now.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    held = peak()
    for _ in range(reps):
        step()
    return peak() - held


def stack(cell, d_input, d_hidden, n_layers):
    build, _ = CELLS[cell]
    return build(d_input, d_hidden, n_layers, batch_first=True)


class Torch:
    """PyTorch."""

    def __init__(self, threads):
        torch.set_num_threads(threads)

    def machine(self):
        return {"torch": torch.__version__, "threads": torch.get_num_threads()}

    def training(self, cell, shape):
        b, t, i, h, l = shape
        rnn, x = stack(cell, i, h, l), torch.randn(b, t, i)

        def step():
            output, _ = rnn(x)
            output.sum().backward()
            rnn.zero_grad(set_to_none=True)

        return step

    def layer(self, cell, shape, reps):
        b, t, i, h, l = shape
        rnn, x = stack(cell, i, h, l), torch.randn(b, t, i)

        @torch.no_grad()
        def forward():
            rnn(x)

        forward_ms, train_ms = median_ms(forward, reps), median_ms(self.training(cell, shape), reps)
        _, gates = CELLS[cell]
        products = b * t * gates * h * sum(h + (h if k else i) for k in range(l))
        return {
            "forward_ms": forward_ms,
            "train_ms": train_ms,
            # A multiplication and an addition each, once forward and twice for the gradient.
            "train_gflops": 6 * products / train_ms / 1e6,
        }

    def stream(self, cell, shape, reps):
        h, l = shape
        rnn, x = stack(cell, h, h, l).eval(), torch.randn(1, 1, h)
        state = None

        @torch.no_grad()
        def step():
            nonlocal state
            _, state = rnn(x, state)

        return {"step_ms": median_ms(step, 20 * reps, 20)}

    def lm_training(self, shape):
        v, e, h, l, b, t = shape
        embedding, rnn, head = nn.Embedding(v, e), stack("LSTM", e, h, l), nn.Linear(h, v)
        parameters = list(nn.ModuleList([embedding, rnn, head]).parameters())
        optimizer = torch.optim.AdamW(parameters, lr=1e-3)
        tokens, targets = torch.randint(v, (2, b, t))

        def step():
            hidden, _ = rnn(embedding(tokens))
            nn.functional.cross_entropy(head(hidden).view(b * t, v), targets.view(b * t)).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()

        return step

    def lm(self, shape, reps):
        *_, b, t = shape
        step_ms = median_ms(self.lm_training(shape), reps)
        return {"step_ms": step_ms, "tokens_per_s": 1e3 * b * t / step_ms}


class OneStep(nn.Module):
    """A stack whose state goes in and out as separate tensors."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x, *state):
        output, state = self.rnn(x, state if len(state) == 2 else state[0])
        return (output, *state) if isinstance(state, tuple) else (output, state)


class Ort:
    """ONNX Runtime on the CPU."""

    lm = training = None

    def __init__(self, threads):
        import onnxruntime

        self.threads, self.ort = threads, onnxruntime

    def machine(self):
        return {"onnxruntime": self.ort.__version__, "threads": self.threads}

    def session(self, module, inputs):
        """A session of `module`, and the arrays that it is fed."""
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module.eval(), inputs, file, opset_version=17, dynamo=False)
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = self.ort.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
        return session, {slot.name: tensor.numpy() for slot, tensor in zip(session.get_inputs(), inputs)}

    def layer(self, cell, shape, reps):
        b, t, i, h, l = shape
        session, feed = self.session(stack(cell, i, h, l), (torch.randn(b, t, i),))
        return {"forward_ms": median_ms(lambda: session.run(None, feed), reps)}

    def stream(self, cell, shape, reps):
        h, l = shape
        n_states = 2 if cell == "LSTM" else 1
        inputs = (torch.randn(1, 1, h), *torch.zeros(n_states, l, 1, h))
        session, feed = self.session(OneStep(stack(cell, h, h, l)), inputs)
        _, *states = feed

        def step():
            _, *new = session.run(None, feed)
            feed.update(zip(states, new))

        return {"step_ms": median_ms(step, 20 * reps, 20)}


PEERS = {"torch": Torch, "ort": Ort}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=PEERS, help="this one alone")
    parser.add_argument("--only", choices=["layer", "stream", "lm", "memory"], help="these cases alone")
    parser.add_argument("--cell", choices=[cell.lower() for cell in CELLS], help="this cell alone")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--reps", type=int, default=7, help="timed runs; 20 times as many steps of a stream")
    args = parser.parse_args()

    cells = [cell for cell in CELLS if args.cell in (None, cell.lower())]
    for name in [args.peer] if args.peer else PEERS:
        torch.manual_seed(0)
        peer = PEERS[name](args.threads)

        def say(case, keys, values, numbers):
            row = {"case": case, "implementation": name, **dict(zip(keys, values)), **numbers}
            print(json.dumps(row), flush=True)

        say("machine", [], [], peer.machine())
        if args.only in (None, "layer"):
            for cell in cells:
                for shape in LAYERS:
                    numbers = peer.layer(cell, shape, args.reps)
                    say("layer", ["cell", *"BTIHL"], [cell, *shape], numbers)
        if args.only in (None, "stream"):
            for cell in cells:
                for shape in STREAMS:
                    say("stream", ["cell", *"HL"], [cell, *shape], peer.stream(cell, shape, args.reps))
        if args.only in (None, "lm") and "LSTM" in cells and peer.lm:
            for shape in LMS:
                say("lm", [*"VEHLBT"], shape, peer.lm(shape, args.reps))
        if args.only == "memory" and peer.training:
            for cell in cells:
                for shape in LAYERS:
                    numbers = {"peak_bytes": peak_bytes(peer.training(cell, shape), args.reps)}
                    say("memory", ["cell", *"BTIHL"], [cell, *shape], numbers)
            for shape in LMS if "LSTM" in cells else []:
                say("memory", [*"VEHLBT"], shape, {"peak_bytes": peak_bytes(peer.lm_training(shape), args.reps)})


if __name__ == "__main__":
    main()
