"""Runs exported models in onnxruntime and compares them with what the zoo said.

    python tests/onnx/check.py FOLDER

FOLDER has a folder a model: in it `onnx`, as `rnn-zoo export --format onnx` wrote it, and `K.safetensors`,
inputs `in.NAME` and outputs `out.NAME`. Prints the largest difference of each model, and the largest in parts of the
tolerance; ends with 1 where one is too large. Needs onnx, onnxruntime, numpy, safetensors.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

RTOL, ATOL = 1e-4, 1e-5


def session(path):
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session, values):
    feeds = {port.name: values[port.name] for port in session.get_inputs()}
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def encoder_decoder(sessions, given, n_steps, d_output):
    step = read = run(sessions["encoder"], given)
    token = np.full((len(given["x"]), 1), d_output, np.int64)
    fed = [port.shape[2] for port in sessions["decoder"].get_inputs() if port.name == "a0"]
    found = np.zeros((len(token), 1, *fed), np.float32)
    steps = []
    for _ in range(n_steps):
        state = {"h0": step["h_n"], "c0": step.get("c_n"), "a0": found}
        step = run(sessions["decoder"], read | state | {"x": token, "lengths": given["lengths"]})
        steps.append(step)
        token, found = step["y"].argmax(2), step.get("a_n")
    said = [name for name in ("y", "attention") if name in step]
    return {name: np.concatenate([step[name] for step in steps], 1) for name in said}


def one_to_many(session, given, n_steps, d_output):
    step = {"next": np.zeros((len(given["x"]), 1, d_output), np.float32), "h_n": given["h0"], "c_n": given.get("c0")}
    steps = []
    for k in range(n_steps):
        # Of tokens those that are read are given, whatever it writes.
        last = given["last"][:, k : k + 1] if "last" in given else step["next"]
        step = run(session, {"x": given["x"], "last": last, "h0": step["h_n"], "c0": step.get("c_n")})
        steps.append(step)
    return step | {name: np.concatenate([step[name] for step in steps], 1) for name in ("y", "next")}


def said(sessions, given, expected):
    shape = expected["y"].shape if "y" in expected else None
    if "encoder" in sessions:
        return encoder_decoder(sessions, given, shape[1], shape[2])
    model = sessions["model"]
    if any(port.name == "last" for port in model.get_inputs()):
        return one_to_many(model, given, shape[1], shape[2])
    return run(model, given)


def main():
    folders = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir())
    right = len(folders) > 0
    for folder in folders:
        sessions = {path.stem: session(path) for path in (folder / "onnx").glob("*.onnx")}
        cases = sorted(folder.glob("*.safetensors"))
        fits, largest, share = len(cases) > 0, 0.0, 0.0
        for case in cases:
            tensors = load_file(case)
            given, expected = (
                {name[len(side) :]: value for name, value in tensors.items() if name.startswith(side)}
                for side in ("in.", "out.")
            )
            got = said(sessions, given, expected)
            for name, value in expected.items():
                if got[name].shape != value.shape or got[name].dtype != value.dtype:
                    print(f"{case} {name}: {got[name].dtype} {got[name].shape}, not {value.dtype} {value.shape}")
                    fits = False
                    continue
                difference, tolerance = np.abs(got[name] - value), ATOL + RTOL * np.abs(value)
                # So that what is not a number does not fit.
                fits &= bool((difference <= tolerance).all())
                largest = max(largest, float(difference.max()))
                share = max(share, float((difference / tolerance).max()))
        right &= fits
        print(json.dumps({"model": folder.name, "cases": len(cases), "largest": largest, "share": share, "fits": fits}))
    sys.exit(0 if right else 1)


main()
