"""Makes small valid inputs for the fuzz targets: corpus/TARGET/seed-N.

    python3 fuzz/seeds.py [PROGRAM]

PROGRAM is a built rnn-zoo, by default target/release/rnn-zoo; it makes the records and the checkpoint. Without it they
are left out.
"""

import gzip
import io
import json
import math
import struct
import subprocess
import sys
import tarfile
import tempfile
import wave
import zlib
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
CORPUS = FUZZ / "corpus"

# As in src/lib.rs: a checkpoint knows its data.
TEXT = "to be or not to be,\nthat is the question\n" * 4

TABLE = "a,b\n" + "".join(f"{k % 7},{k % 3 - 1}.5\n" for k in range(40))

CONFIG = """name = "{name}"
[model]
mode = "{mode}"
cell = "{cell}"
d_hidden = 2
{model}
[data]
format = "{format}"
train = "{train}"
{data}
[train]
{train_table}
"""


def config(name, mode, cell, format, train, model="", data="", train_table="epochs = 1"):
    return CONFIG.format_map(locals())


def safetensors(tensors):
    """The bytes of a file of named tensors: their type's name, their shape and their values."""
    head, body = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        data = struct.pack(f"<{len(values)}{ {'F32': 'f', 'I64': 'q'}[dtype] }", *values)
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    head = json.dumps(head).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + body


def floats(*shape):
    values = [0.1 * (k % 7) - 0.3 for k in range(math.prod(shape))]
    return "F32", list(shape), values


def png(width, height, color_type, samples):
    """A picture of 8 bits a sample: a dark stroke on light paper."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = lambda y: b"".join(bytes([0 if abs(x - y) < 2 else 255] * samples) for x in range(width))
    rows = b"".join(b"\0" + row(y) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def wav(hertz, n, channels=1, width=2):
    """A tone, 8000 samples a second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as clip:
        clip.setnchannels(channels)
        clip.setsampwidth(width)
        clip.setframerate(8000)
        middle = 128 if width == 1 else 0
        value = lambda k: middle + int(100 * math.sin(2 * math.pi * hertz * k / 8000))
        for k in range(n):
            clip.writeframesraw(value(k).to_bytes(width, "little", signed=width > 1) * channels)
    return file.getvalue()


def archive(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def drawing(drawer):
    bits = "".join("1" if abs(x - y) < 2 else "0" for y in range(105) for x in range(105))
    bits += "0" * (-len(bits) % 8)
    image = f"{int(bits, 2):0{len(bits) // 4}x}"
    strokes = [[[k, k, 10 * k] for k in range(0, 105, 15)], [[60, 10, 900], [61, 12, 950]]]
    return json.dumps({"drawer": drawer, "strokes": strokes, "image": image})


def ts(label, cases):
    return f"# cases\n@timeStamps false\n{label}\n@data\n" + "".join(f"{case}\n" for case in cases)


def schema(input, target):
    return json.dumps({"input": input, "target": target})


def state_dict(layers=1):
    tensors = {"head.weight": floats(3, 2), "head.bias": floats(3)}
    for layer in range(layers):
        tensors[f"rnn.weight_ih_l{layer}"] = floats(6, 3 if layer == 0 else 2)
        tensors[f"rnn.weight_hh_l{layer}"] = floats(6, 2)
        tensors[f"rnn.bias_ih_l{layer}"] = floats(6)
        tensors[f"rnn.bias_hh_l{layer}"] = floats(6)
    return safetensors(tensors)


def seeds():
    """The inputs of each target that need no program."""
    names, foods = ("Old", "New", "Wet", "Red", "Dry"), ("French", "Thai")
    attributes = [f"name[The {name} Mill], food[{food}]" for name in names for food in foods]
    tones = [("low", 300), ("high", 2000)]
    clips = {f"clips/{label}_{k}.wav": wav(hertz + 10 * k, 320) for label, hertz in tones for k in range(5)}
    languages = [("ein Hund läuft", "a dog runs"), ("zwei Hunde laufen", "two dogs run")] * 5
    channels = {"channels": 1, "scales": [{"mean": 0.5, "std": 2.0}], "names": ["a"]}
    kinds = [{"name": "n"}, {"name": "f", "values": ["x"]}]
    pieces = {"pieces": ["</s>", "<unk>", "▁", "a", "▁a"], "merges": ["▁ a"]}
    words = {"vocabulary": ["<unk>", "to", "be"], "lowercase": True}
    epochs = "epoch,train_loss,valid_loss,valid_mse,lr,time_steps,train_seconds,seconds\n"
    score = {"model": "fuzz", "split": "valid", "metric": "accuracy", "value": 0.9, "n": 27}
    sha256 = "0" * 64
    manifest = {
        "format": 1, "name": "fuzz", "rnn_zoo": "0.1.0", "burn": "0.21.0", "record": "mpk", "precision": "half",
        "parameters": 4, "seed": 0, "epoch": 1, "trained_on": "fuzz", "seconds": 3.0,
        "files": {name: sha256 for name in ("config.toml", "record.mpk", "schema.json", "scores.json")},
        "sha256": sha256,
    }  # fmt: skip
    return {
        "archive": [archive(clips)],
        "attributes": ["mr,ref\n" + "".join(f'"{a}",{a[5:16]} is by the river.\n' for a in attributes)],
        "config": [
            config("series", "many-to-one", "gru", "csv", "x.csv", data="window = 2\nhorizon = 2"),
            config("text", "encoder-decoder", "lstm", "pairs", "x.tsv", "d_embedding = 2\nattention = \"dot\""),
            (FUZZ.parent / "configs/speaker.toml").read_bytes(),
        ],
        "csv": [TABLE],
        "follow": ["1,2\n3,4\n-0.5,1e3\n", "1,2\nx\n1\n3,4\n"],
        "forecast": [TABLE],
        "gzip": [gzip.compress(TEXT.encode(), mtime=0)],
        "intent_slots": ["GetWeather\twill it rain in paris\tO O O O B-city\nPlay\tplay it\tO B-song\n" * 6],
        "labelled_text": ["NUM:dist How far is it ?\nHUM:desc\tWho was Galileo ?\n" * 6],
        "manifest": [json.dumps(manifest)],
        "metrics": [
            epochs + "1,0.5,0.6,0.6,0.01,300,1,2\n2,0.4,0.5,0.5,0.01,300,2,3\n",
            "epoch,train_loss,valid_loss,valid_accuracy,lr,seconds\n1,0.5,NaN,0.6,0.01,2\n",
        ],
        "pair_files": ["".join(f"{a}\n" for a, _ in languages) + "\0" + "".join(f"{b}\n" for _, b in languages)],
        "pairs": ["".join(f"{a}\t{b}\n" for a, b in languages)],
        "picture": [png(9, 12, 0, 1), png(30, 30, 2, 3), png(12, 9, 6, 4)],
        "predict_text": [
            "\0ab a\né",
            "\1To be, or NOT to be? Don't.",
            "\2the lowest, newest one",
            "\3name[The Mill], food[Thai]",
            "\4" + drawing(1),
        ],
        "predict_values": ["\0" + "1,2,3:4,5,6", "\1" + "0.5,-1e3", "\2" + TABLE],
        "prompt": ["\0to bé", "\1to be or\nnot, do n't"],
        "pytorch": [b"\0" + state_dict(), b"\0" + state_dict(2), b"\1PK\3\4", b"\1" + state_dict()],
        "schema": [
            schema({"features": channels}, {"class": {"labels": ["a", "b"]}}),
            schema({"words": words}, {"tasks": {"tasks": [{"name": "t", "labels": ["x"], "aligned": False}]}}),
            schema({"text": pieces}, {"text": pieces}),
            schema({"attributes": {"attributes": kinds}}, {"tokens": {"labels": ["a"]}}),
            schema({"features": {"channels": 16}}, {"drawing": {"side": 4}}),
        ],
        "scores": [json.dumps([score, {**score, "split": "test", "metric": "loss"}])],
        "strokes": ["".join(drawing(k) + "\n" for k in range(8))],
        "tagged": ["How\tADV\nfar\tADV\n?\tPUNCT\n\nHere\tADV\n\n" * 6],
        "tensors": [
            safetensors({"x": floats(2, 3, 2), "h0": floats(1, 2, 2), "lengths": ("I64", [2], [3, 1])}),
            safetensors({"x": ("I64", [1, 4], [1, 255, 0, 97])}),
        ],
        "text": [TEXT],
        "ts": [
            ts("@classLabel true left right", ["0.1,0.2,0.3:7,8,9:left", "0.4,0.5:1,2:right"] * 6),
            ts("@targetLabel true", [f"1,2,{k}:0.{k}" for k in range(10)]),
        ],
        "wav": [wav(300, 800), wav(300, 800, channels=2, width=3), wav(300, 800, width=1)],
    }  # fmt: skip


def made(program):
    """The inputs that a program makes: records, with the sizes of the target's model, and a checkpoint's files."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        def run(*args):
            subprocess.run([program, *args, "--backend", "ndarray"], cwd=folder, check=True, capture_output=True)

        def train(text, data, run_folder):
            (folder / "x").write_text(data)
            (folder / "config.toml").write_text(text)
            run("train", "config.toml", "--run", run_folder)

        seeds = {}
        train(config("record", "many-to-one", "gru", "csv", "x", data="window = 2"), TABLE, "record")
        for name in ("mpk", "bin", "burnpack", "json", "safetensors"):
            for half in ([], ["--half"]):
                out = f"{name}{len(half)}"
                run("export", "record", "--format", name, *half, "--out", out)
                record = next((folder / out).glob("record.*"))
                seeds.setdefault(f"record_{name}", []).append(record.read_bytes())
        table = "epochs = 2\nbatch_size = 4\ncarry_state = true\naverage = 0.5\ncheckpoint_steps = 1"
        language = config("checkpoint", "many-to-many", "lstm", "text", "x", "d_embedding = 2", "window = 4", table)
        train(language, TEXT, "language")
        checkpoint = min((folder / "language/checkpoint").iterdir())
        files = ["manifest.json", "state.mpk", "model.mpk", "optimizer.mpk", "average.mpk", "best.mpk", "carried.mpk"]
        seeds["checkpoint"] = [bytes([k]) + (checkpoint / name).read_bytes() for k, name in enumerate(files)]
        return seeds


def main():
    given = sys.argv[1] if len(sys.argv) > 1 else FUZZ.parent / "target/release/rnn-zoo"
    program = Path(given).resolve()
    all_seeds = seeds()
    if program.is_file():
        all_seeds.update(made(program))
    elif len(sys.argv) > 1:
        sys.exit(f"{program} is no file: build it first, with cargo build --release")
    else:
        print(f"no {program}: no seeds of records and checkpoints", file=sys.stderr)
    targets = {path.stem for path in (FUZZ / "fuzz_targets").glob("*.rs")}
    if unknown := all_seeds.keys() - targets:
        sys.exit(f"seeds of no target: {', '.join(sorted(unknown))}")
    for target, contents in all_seeds.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for k, content in enumerate(contents):
            data = content.encode() if isinstance(content, str) else content
            (folder / f"seed-{k}").write_bytes(data)
    print(f"{sum(map(len, all_seeds.values()))} seeds of {len(all_seeds)} of {len(targets)} targets in {CORPUS}")


main()
