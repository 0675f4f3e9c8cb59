//! Whatever is wrong with a file, a flag or an input: one line that says where and what to do, and nothing half done.

use crate::cli::{Part, Workshop, f32s, i64s, safetensors};
use safetensors::tensor::Dtype;
use std::fs;

/// What is wrong with how a command is refused; nothing if it is well. `says` is what the error's line must have.
fn fault(w: &Workshop, command: &str, code: i32, says: &[&str]) -> Option<String> {
    let before = w.files();
    let said = w.run(command);
    let errors: Vec<&str> = said.err.lines().filter(|line| line.starts_with("error:")).collect();
    let mut faults = Vec::new();
    if said.code != Some(code) {
        faults.push(format!("exit code {:?}, not {code}", said.code));
    }
    if said.err.contains("panicked") {
        faults.push("it panicked".into());
    }
    if !said.out.is_empty() {
        faults.push("there is output".into());
    }
    match errors.as_slice() {
        [error] => faults.extend(says.iter().filter(|s| !error.contains(**s)).map(|s| format!("no `{s}`"))),
        _ => faults.push(format!("{} lines are errors", errors.len())),
    }
    let changed: Vec<String> = w
        .files()
        .into_iter()
        .filter(|(name, bytes)| before.get(name) != Some(bytes))
        .map(|(name, _)| name)
        .collect();
    if !changed.is_empty() {
        faults.push(format!("files are there or changed: {changed:?}"));
        // The next command starts from what was there.
        changed.iter().filter(|name| !before.contains_key(*name)).for_each(|name| w.remove(name));
    }
    if before.keys().any(|name| !w.path(name).exists()) {
        faults.push("files are gone".into());
    }
    (!faults.is_empty()).then(|| format!("{command}\n  {}\n  {}", faults.join("\n  "), said.err.trim_end()))
}

#[track_caller]
fn none(faults: impl IntoIterator<Item = Option<String>>) {
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n\n"));
}

/// That each command is refused with exit code 1.
#[track_caller]
fn refused(w: &Workshop, rows: &[(&str, &[&str])]) {
    none(rows.iter().map(|(command, says)| fault(w, command, 1, says)));
}

/// That training with each `--set` is refused.
#[track_caller]
fn set_refused(w: &Workshop, config: &str, rows: &[(&str, &[&str])]) {
    none(rows.iter().map(|(set, says)| fault(w, &format!("train {config} --run new --set {set}"), 1, says)));
}

#[test]
fn files_that_are_not_there_or_not_text() {
    let w = Workshop::of_files();
    w.write("empty", "");
    w.write("latin", b"name = \"caf\xe9\"\n");
    w.write("folder/x", "");
    let gone = "(os error 2)";
    refused(
        &w,
        &[
            ("train gone.toml --run new", &["gone.toml", gone]),
            ("train empty --run new", &["empty: is empty", "`name`", "[model]"]),
            ("train latin --run new", &["latin:1:", "UTF-8", "byte 11", "save it as"]),
            ("train folder --run new", &["folder: "]),
            ("train tiny.toml --run new --set data.train=gone.ts", &["gone.ts", gone]),
            ("train tiny.toml --run new --set data.train=empty", &["empty: is empty"]),
            ("train tiny.toml --run new --set data.test=empty", &["empty: is empty"]),
            ("train tiny.toml --run new --set data.train=latin", &["latin:1:", "UTF-8"]),
            ("train tiny.toml --run tiny", &["tiny: is not empty", "overwrites nothing", "name another"]),
            ("train tiny.toml --run tiny.toml", &["tiny.toml: "]),
            ("eval gone", &["gone: is not a folder", "name a model folder"]),
            ("eval folder", &["folder: has no manifest.json", "not a model folder"]),
            ("eval tiny --data gone.ts", &["gone.ts", gone]),
            ("eval tiny --data empty", &["empty: is empty"]),
            ("predict tiny empty", &["empty: is empty"]),
            ("predict text latin", &["latin", "UTF-8"]),
            ("predict tiny --input gone --output new", &["gone", gone]),
            ("predict tiny --input tiny.ts --output new", &["tiny.ts: is not a safetensors file"]),
            (
                "predict tiny --input tiny.ts --output tiny.toml",
                &["tiny.toml: exists already", "name another"],
            ),
            ("eval tiny --confusion tiny.ts", &["tiny.ts: exists already", "name another"]),
            ("eval tiny --confusion no/new.svg", &["no/new.svg: ", "its folder does not exist"]),
            ("inspect text --text abc --output tiny.ts", &["tiny.ts: exists already", "name another"]),
            ("inspect text --text abc --output no/new.svg", &["no/new.svg: ", "its folder does not exist"]),
            ("inspect gone --text abc", &["gone: is not a folder", "name a model folder"]),
            ("export tiny --format bin --out text", &["text: exists already", "name another"]),
            ("list", &["models: ", gone]),
            ("list --models folder", &["folder: has no model folder", "--models"]),
        ],
    );
}

#[test]
fn texts_and_tags() {
    let w = Workshop::of_files();
    w.write("packed.gz", "The\tDET\n");
    w.write("bad.tsv", "The\tDET\ncat NOUN\n");
    w.write("bad.txt", "TIME:hour When ?\n\nTIME\n");
    w.write("new.txt", "TIME When ?\nCOLOUR What ?\n");
    w.write("raw", safetensors(&[i64s("x", &[1, 2], &[1, 2])]));
    refused(
        &w,
        &[
            (
                "train tags.toml --run new --set data.train=packed.gz",
                &["packed.gz: cannot be unpacked", "gzip"],
            ),
            (
                "train tags.toml --run new --set data.train=bad.tsv",
                &["bad.tsv:2: ", "no tag in column 1", "tabs"],
            ),
            ("train tags.toml --run new --set data.tag_column=2", &["tags.tsv:1: ", "data.tag_column"]),
            ("train topic.toml --run new --set data.train=bad.txt", &["bad.txt:3: ", "write a label"]),
            ("eval topic --data new.txt", &["new.txt:2: label `COLOUR`", "PLACE, TIME"]),
            ("eval topic --data tags.tsv", &["tags.tsv:"]),
            ("predict tags --input raw --output new", &["spelling", "give it text"]),
            ("train text.toml --run new --set data.lowercase=true", &["`data.lowercase`", "unit = \"word\""]),
        ],
    );
}

#[test]
fn ts_files() {
    let w = Workshop::of_files();
    const HEAD: &str = "@classLabel true a b c\n@data\n1,2:3,4:a\n";
    let rows: &[(&str, &[&str])] = &[
        ("1,2:3:b\n", &[":4: channel 2 has 1 steps, channel 1 has 2"]),
        ("1,2:b\n", &[":4: 1 channels", "has 2"]),
        ("1,2:3,4\n", &[":4: the label is missing", "last field, after a `:`"]),
        ("1,2:3,4:\n", &[":4: the label is missing"]),
        ("1,2:3,4:d\n", &[":4: label `d` is not in `@classLabel`: a, b, c"]),
        ("1,NaN:3,4:b\n", &[":4: channel 1, step 2", "missing (`NaN`)", "fill it in or leave it out"]),
        ("1,2:?,4:b\n", &[":4: channel 2, step 1", "missing (`?`)"]),
        ("1,2:3,inf:b\n", &[":4: channel 2, step 2", "not finite"]),
        ("1,2:3,four:b\n", &[":4: channel 2, step 2: `four` is not a number"]),
        ("::b\n", &[":4: channel 1 has no value"]),
    ];
    none(rows.iter().flat_map(|(case, says)| {
        w.write("bad.ts", format!("{HEAD}{case}"));
        let says = [&["bad.ts"], *says].concat();
        [
            "train tiny.toml --run new --set data.train=bad.ts",
            "eval tiny --data bad.ts",
            "predict tiny bad.ts",
        ]
        .map(|command| fault(&w, command, 1, &says))
    }));
    let whole: &[(&str, &[&str])] = &[
        ("@classLabel true a b\n1,2:3,4:a\n", &[":2: a line before `@data`"]),
        ("@classLabel true a b\n", &["no `@data`", "is it a .ts file?"]),
        ("@classLabel true a b\n@data\n", &["no case after `@data`"]),
        ("@data\n1,2:3,4:a\n", &[":1: no `@classLabel`"]),
        ("@timeStamps true\n", &[":1: time stamps are not supported", "@timeStamps false"]),
        ("@classLabel true a b\n@data\n1:2:a\n", &["`data.valid_fraction`", "raise it"]),
    ];
    none(whole.iter().map(|(text, says)| {
        w.write("bad.ts", text);
        fault(&w, "train tiny.toml --run new --set data.train=bad.ts", 1, says)
    }));
}

#[test]
fn labels_that_only_the_test_split_has() {
    let w = Workshop::of_files();
    let known = w
        .read("tiny.ts")
        .lines()
        .filter(|line| !line.ends_with(":c"))
        .fold(String::new(), |t, l| t + l + "\n");
    w.write("known.ts", known);
    w.write("c.ts", "@classLabel true a b c\n@data\n1:2:a\n1:2:c\n");
    let says = ["c.ts:4: label `c` is not among the 2 of the training data: a, b", "leave the case out"];
    let train = "train tiny.toml --run new --set data.train=known.ts --set data.test=c.ts";
    none([fault(&w, train, 1, &says)]);
    w.run("train tiny.toml --run known --set data.train=known.ts").ok();
    none([fault(&w, "eval known --data c.ts", 1, &says)]);
}

#[test]
fn configurations() {
    let w = Workshop::of_files();
    for (name, from, to) in [
        ("key.toml", "d_hidden", "d_hiden"),
        ("table.toml", "train = {", "trian = {"),
        ("type.toml", "epochs = 2", "epochs = \"two\""),
        ("choice.toml", "\"lstm\"", "\"lsmt\""),
        ("name.toml", "name = \"tiny\"\n", ""),
        ("syntax.toml", "name = \"tiny\"", "name = \"tiny"),
    ] {
        w.write(name, w.read("tiny.toml"));
        w.edit(name, from, to);
    }
    refused(
        &w,
        &[
            (
                "train key.toml --run new",
                &["key.toml:4: unknown key `d_hiden` in [model]: did you mean `d_hidden`?"],
            ),
            ("train table.toml --run new", &["table.toml:6: unknown key `trian`", "did you mean `train`?"]),
            (
                "train type.toml --run new",
                &["type.toml:6: `train.epochs`: expected a whole number", "\"two\""],
            ),
            (
                "train choice.toml --run new",
                &["choice.toml:4: `model.cell`", "`lsmt`: did you mean `lstm`? (one of: "],
            ),
            ("train name.toml --run new", &["name.toml:", "missing key `name`", "above the first table"]),
            ("train syntax.toml --run new", &["syntax.toml:2: not valid TOML"]),
        ],
    );
}

#[test]
fn set() {
    let w = Workshop::of_files();
    set_refused(
        &w,
        "tiny.toml",
        &[
            ("nothing", &["`--set nothing`: has no `=`", "train.epochs=3"]),
            ("=3", &["has an empty key", "train.epochs=3"]),
            ("train..epochs=3", &["has an empty key"]),
            ("a.b.c.d.e.f.g.h.i=3", &["no key has over 8 parts"]),
            ("model.d_hiden=3", &["`--set model.d_hiden`", "did you mean `d_hidden`?"]),
            ("tiny=3", &["`--set tiny`: unknown key `tiny` at the top level"]),
            ("model.cell.x=3", &["`model.cell` is of type string, not a table"]),
            ("model.d_hidden=many", &["`--set model.d_hidden`: expected a whole number", "\"many\""]),
            ("model.d_hidden=-1", &["`--set model.d_hidden`: expected a whole number, 0 or more"]),
            ("model.d_hidden=0", &["`model.d_hidden`: must be 1 to 65536, not 0"]),
            ("model.d_hidden=99999999999999999999", &["`--set model.d_hidden`: expected a whole number"]),
            ("train.epochs=1.5", &["`--set train.epochs`: expected a whole number"]),
            ("model.cell=lsmt", &["`--set model.cell`", "did you mean `lstm`? (one of: rnn, lstm, gru)"]),
            ("train.lr=nan", &["`train.lr`: must be a finite number above 0, as in lr = 0.001"]),
            ("name=../up", &["`name`", "becomes a folder's name", "lowercase letters"]),
            ("name=2024", &["`--set name`: expected a string", "quote it"]),
        ],
    );
}

#[test]
fn settings_that_do_not_go_together() {
    let w = Workshop::of_files();
    set_refused(
        &w,
        "tiny.toml",
        &[
            (
                "model.mode=many-to-many",
                &["`model.mode`: `ts` data", "write many-to-one, or another data.format"],
            ),
            ("model.mode=encoder-decoder", &["`model.d_embedding`", "as in d_embedding = 64"]),
            ("model.d_embedding=3", &["`model.d_embedding`: `ts` data is features", "leave out"]),
            ("model.d_input=3", &["`model.d_input`: is 3, but the data has 2"]),
            ("model.d_output=4", &["`model.d_output`: is 4, but the data has 3"]),
            ("model.dropout=0.5", &["`model.dropout`", "n_layers = 2"]),
            ("model.reset=after", &["`model.reset`: only cell = \"gru\"", "leave it out"]),
            ("model.zoneout=1.0", &["`model.zoneout`: must be 0 or more and less than 1, not 1"]),
            ("model.zoneout_cell=-0.1", &["`model.zoneout_cell`: must be 0 or more and less than 1"]),
            ("data.format=text", &["`model.mode`: `text` data", "write many-to-many"]),
            ("data.format=program", &["`data.train`: has no effect on `program` data", "leave it out"]),
            (
                "data.steps=4",
                &[
                    "`data.steps`: has no effect on `ts` data, only on adding, copy-memory, pairs, attributes or strokes",
                ],
            ),
            ("data.valid_fraction=0.8", &["`data.valid_fraction`", "less than 1"]),
            ("train.loss=mse", &["`train.loss`", "write cross-entropy or softmax-mse"]),
            ("train.momentum=0.9", &["`train.momentum`", "write 0"]),
        ],
    );
    set_refused(
        &w,
        "text.toml",
        &[
            ("model.mode=many-to-one", &["`model.mode`: `text` data", "write many-to-many"]),
            ("model.bidirectional=true", &["`model.bidirectional`", "write false"]),
            ("model.zoneout_cell=0.1", &["`model.zoneout_cell`: only cell = \"lstm\"", "leave it out"]),
            ("data.window=1000", &["text.txt", "one window of 1000", "lower `data.window`"]),
        ],
    );
    set_refused(
        &w,
        "stream.toml",
        &[
            ("data.columns=[\"z\"]", &["stream.csv: has no column `z`; it has: day, x, y"]),
            ("data.columns=[\"day\"]", &["stream.csv:2: column `day`", "not a number"]),
            ("train.loss=cross-entropy", &["`train.loss`: `csv` data has values to predict", "write mse"]),
        ],
    );
    none([fault(
        &w,
        "train adding.toml --run new --set data.train=tiny.ts",
        1,
        &["`data.train`", "leave it out"],
    )]);
}

#[test]
fn usage() {
    let w = Workshop::of_files();
    none(
        [
            ("nonsense", "'nonsense'"),
            ("train", "required"),
            ("train tiny.toml --nonsense", "'--nonsense'"),
            ("train tiny.toml --format xml", "'xml'"),
            ("predict tiny", "required"),
            ("predict tiny --input x", "required"),
            ("predict tiny --output x", "required"),
            ("predict tiny a --input x --output y", "cannot be used with"),
            ("predict tiny a --steps many", "'many'"),
            ("generate", "required"),
            ("generate text --tokens few", "'few'"),
            ("export tiny", "required"),
            ("export tiny --format tflite", "'tflite'"),
        ]
        .map(|(command, says)| fault(&w, command, 2, &[says])),
    );
}

#[test]
fn text_that_cannot_be_generated() {
    let w = Workshop::of_files();
    let other: &[&str] = &["its mode is not many-to-many", "give a language model"];
    refused(
        &w,
        &[
            ("generate tiny", other),
            ("generate stream --prompt 1,2", other),
            ("generate text --prompt abx", &["the prompt: ", "'x'", "among the 5"]),
            ("generate text --tokens 0", &["0 steps", "1 to 1000000"]),
            ("generate text --temperature -1", &["temperature is -1", "above 0"]),
            ("generate text --temperature nan", &["temperature is NaN"]),
            ("generate text --top-k 0", &["top-k is 0", "1 or more"]),
            ("generate text --top-p 0", &["top-p is 0", "up to 1"]),
            ("generate text --top-p 1.5", &["top-p is 1.5"]),
        ],
    );
}

#[test]
fn backends_and_devices() {
    let w = Workshop::of_files();
    let names: Vec<String> =
        rnn_zoo::backend::devices().iter().map(|d| format!("{} {}", d.backend, d.name)).collect();
    refused(
        &w,
        &[
            ("eval tiny --backend nonsense", &["unknown backend `nonsense`", "ndarray, wgpu, tch"]),
            ("train tiny.toml --run new --backend nonsense", &["unknown backend `nonsense`"]),
            (
                "RNN_ZOO_BACKEND=nonsense eval tiny",
                &["unknown backend `nonsense` in RNN_ZOO_BACKEND", "wgpu"],
            ),
            ("eval tiny --device cuda:99", &["cuda:99", &names.join(", ")]),
            ("train tiny.toml --run new --device cuda:99", &["cuda:99", "there is: "]),
        ],
    );
    let compiled = rnn_zoo::backend::compiled();
    for kind in rnn_zoo::backend::BackendKind::ALL.into_iter().filter(|kind| !compiled.contains(kind)) {
        let rebuild = format!("rebuild with `--features {kind}`");
        none([fault(&w, &format!("info tiny --backend {kind}"), 1, &["not compiled in", &rebuild])]);
    }
}

#[test]
fn model_folders() {
    let edits: &[(&str, &str, &str, &[&str])] = &[
        (
            "config.toml",
            "d_hidden = 4",
            "d_hidden = 5",
            &["record.mpk", "another architecture", "[16, 4]", "[20, 5]"],
        ),
        (
            "config.toml",
            "cell = \"lstm\"",
            "cell = \"gru\"",
            &["record.mpk", "another architecture", "[12, 2]"],
        ),
        (
            "config.toml",
            "n_layers = 1",
            "n_layers = 2",
            &["another architecture", "stack.layers.1.weight_ih is missing"],
        ),
        (
            "config.toml",
            "n_layers = 1",
            "n_layers = 9999",
            &["config.toml", "`model.n_layers`: must be 1 to 64"],
        ),
        (
            "config.toml",
            "d_output = 3",
            "d_output = 4",
            &["config.toml: does not fit schema.json", "`model.d_output`"],
        ),
        (
            "manifest.json",
            "\"format\": 1",
            "\"format\": 99",
            &["manifest.json", "format 99", "reads 1", "newer"],
        ),
        ("manifest.json", "\"mpk\"", "\"onnx\"", &["manifest.json:6:", "`onnx`", "mpk"]),
        ("manifest.json", "\"mpk\"", "\"bin\"", &["manifest.json", "SHA-256"]),
        ("manifest.json", "\"seed\": 0", "\"seed\": -1", &["manifest.json:8:", "damaged"]),
        ("manifest.json", "\n}", "\n", &["manifest.json:", "damaged"]),
        (
            "schema.json",
            "\"channels\": 2",
            "\"channels\": 3",
            &["schema.json: 2 scales are given for 3 channels", "damaged"],
        ),
        ("schema.json", "\"b\"", "b", &["schema.json:", "damaged"]),
        ("schema.json", "\"b\"", "\"a\"", &["schema.json", "a"]),
        ("schema.json", "\"std\": ", "\"std\": -", &["schema.json"]),
        ("scores.json", "]", "", &["scores.json:", "damaged"]),
    ];
    none(edits.iter().map(|(file, from, to, says)| {
        let w = Workshop::of_files();
        w.edit(&format!("tiny/model/{file}"), from, to);
        if *file == "manifest.json" {
            return fault(&w, "predict tiny 1:1", 1, says);
        }
        let damaged = fault(&w, "predict tiny 1:1", 1, &[file, "SHA-256", "rnn-zoo seal"]);
        w.run("seal tiny").ok();
        damaged.or(fault(&w, "predict tiny 1:1", 1, says))
    }));
    none(["manifest.json", "config.toml", "schema.json", "scores.json", "record.mpk"].map(|file| {
        let w = Workshop::of_files();
        w.remove(&format!("tiny/model/{file}"));
        fault(&w, "info tiny/model", 1, &[file])
    }));
    none(["manifest.json", "config.toml", "schema.json", "scores.json"].map(|file| {
        let w = Workshop::of_files();
        w.write(&format!("tiny/model/{file}"), b"{\xff");
        if file != "manifest.json" {
            w.run("seal tiny").ok();
        }
        fault(&w, "info tiny/model", 1, &[file, "UTF-8"])
    }));
}

#[test]
fn sealed_manifests_that_say_what_is_not_so() {
    let edits: &[(&str, &str, &[&str])] = &[
        (
            "\"name\": \"tiny\"",
            "\"name\": \"../tiny\"",
            &["manifest.json: has the name `../tiny`, config.toml `tiny`", "write the same one"],
        ),
        (
            "\"parameters\": ",
            "\"parameters\": 1",
            &["manifest.json: says 1", "parameters, and the model has", "export the folder again"],
        ),
    ];
    none(edits.iter().map(|(from, to, says)| {
        let w = Workshop::of_files();
        w.edit("tiny/model/manifest.json", from, to);
        w.run("seal tiny").ok();
        fault(&w, "export tiny --format bin", 1, says)
    }));
}

#[test]
fn what_a_file_says_does_not_command_the_terminal() {
    let w = Workshop::of_files();
    w.write("raw", safetensors(&[f32s("\u{1b}[2Jx", &[1, 1, 2], &[1.0, 2.0])]));
    w.write("long.ts", format!("@classLabel true a b c\n@data\n1,2:3,4:{}\n", "d".repeat(5000)));
    refused(
        &w,
        &[
            ("predict tiny --input raw --output new", &["has a tensor `\\u{1b}[2Jx`"]),
            ("eval tiny --data long.ts", &["long.ts:3: label `ddd", "ddd…"]),
        ],
    );
    w.edit("tiny/model/manifest.json", "\"seed\": 0", "\"seed\": 0,\n  \"\\u001b[2J\": 0");
    refused(&w, &[("info tiny", &["manifest.json:", "\\u{1b}[2J"])]);
}

#[test]
fn records() {
    let formats = [
        ("mpk", "record.mpk"),
        ("bin", "record.bin"),
        ("burnpack", "record.bpk"),
        ("json", "record.json"),
        ("safetensors", "record.safetensors"),
    ];
    let w = Workshop::of_files();
    let mut faults = Vec::new();
    for (format, file) in formats {
        w.run(&format!("export tiny --format {format} --out {format}")).ok();
        let record = format!("{format}/{file}");
        let whole = fs::read(w.path(&record)).unwrap();
        let info = format!("info {format}");
        let longer = [&whole[..], b"more"].concat();
        // Burnpack says where its tensors are, and not where it ends.
        let cases = [&whole[..whole.len() / 2], &longer];
        for bytes in &cases[..if format == "burnpack" { 1 } else { 2 }] {
            w.write(&record, bytes);
            faults.push(fault(&w, &info, 1, &[file, "SHA-256"]));
            w.run(&format!("seal {format}")).ok();
            faults.push(fault(&w, &info, 1, &[file, "the record is damaged or of another kind"]));
        }
        let known = format!("\"record\": \"{format}\"");
        w.write(&record, &whole);
        w.edit(&format!("{format}/manifest.json"), &known, &format!("{known},\n  \"precision\": \"half\""));
        w.run(&format!("seal {format}")).ok();
        let says = if format == "bin" { "is not that of this architecture" } else { "the manifest says F16" };
        faults.push(fault(&w, &info, 1, &[file, says, "the record is damaged or of another kind"]));
    }
    w.run("export tiny --format safetensors --out nan").ok();
    let mut record = fs::read(w.path("nan/record.safetensors")).unwrap();
    let end = record.len() - 4;
    record[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    w.write("nan/record.safetensors", record);
    w.run("seal nan").ok();
    faults.push(fault(&w, "info nan", 1, &["record.safetensors: `", "has a weight that is not finite"]));
    none(faults);
}

#[test]
fn inputs() {
    let w = Workshop::of_files();
    w.write("unknown.txt", "abc\nazb\n");
    let unknown = "character 'z' is not among the 5 of the training data: leave it out";
    refused(
        &w,
        &[
            ("predict tiny 1,2", &["1 channels, the model reads 2", "separate channels with `:`"]),
            ("predict tiny 1,2:3", &["channel 2 has 1 steps, channel 1 has 2"]),
            ("predict tiny 1,2:3,?", &["channel 2, step 2", "missing"]),
            ("predict tiny 1,x:3,4", &["channel 1, step 2: `x` is not a number"]),
            ("predict tiny :", &["channel 1 has no value"]),
            ("predict stream 1", &["the row has 1 values, the model reads 2"]),
            ("predict stream tiny.ts", &["tiny.ts"]),
            ("predict text azb", &[unknown]),
            ("predict text unknown.txt", &["unknown.txt:2:", unknown]),
            ("eval text --data unknown.txt", &["unknown.txt:2:", unknown]),
            ("eval stream --confusion new.svg", &["of classes", "says values"]),
            ("inspect text --text azb", &[unknown]),
            ("inspect text --text=", &["no step", "at least one"]),
            ("inspect text --text abc --layer 1", &["no layer 1", "the model has 1, counted from 0"]),
            ("inspect text --text abc --units 2,4", &["no unit 4 in layer 0", "it has 4, counted from 0"]),
            ("inspect tiny --text abc", &["cannot go on from its own text", "mode is not many-to-many"]),
            ("inspect stream --text abc", &["cannot go on from its own text"]),
            ("eval tiny --data text.txt", &["text.txt:1: a line before `@data`"]),
        ],
    );
    // Lines before the bad one are answered already.
    for (model, lines, says) in [
        ("tiny", &b"1:2\n1:2:3\n"[..], "error: stdin:2: the sequence has 3 channels"),
        ("tiny", b"1:2\n\n", "error: stdin:2: channel 1 has no value"),
        ("text", b"abc\nazb\n", "error: stdin:2: character 'z'"),
        ("text", b"abc\na\xffb\n", "error: stdin:2: cannot be read"),
        ("stream", b"1,2\n1,nan\n", "error: stdin:2: value 2: "),
    ] {
        let said = w.run_with(&format!("predict {model} -"), lines);
        assert_eq!((said.code, said.out.lines().count()), (Some(1), 1), "{said:?}");
        assert!(said.err.lines().last().unwrap().starts_with(says), "{}", said.err);
    }
}

#[test]
fn tensors() {
    let w = Workshop::of_files();
    let x = || f32s("x", &[2, 3, 2], &[0.5; 12]);
    let doubles = ("x", Dtype::F64, vec![1, 1, 2], vec![0; 16]);
    let rows: Vec<(&str, Vec<Part>, &[&str])> = vec![
        ("tiny", vec![f32s("x", &[2, 6], &[0.5; 12])], &["x is [2, 6], it must be [B, T, D]"]),
        ("tiny", vec![f32s("x", &[2, 2, 3], &[0.5; 12])], &["x is [2, 2, 3]", "D = 2"]),
        ("tiny", vec![f32s("x", &[0, 3, 2], &[])], &["0 sequences", "at least one"]),
        ("tiny", vec![f32s("x", &[2, 0, 2], &[])], &["0 steps", "at least one"]),
        ("tiny", vec![doubles], &["x.bin: `x` is of type F64, it must be f32"]),
        ("tiny", vec![i64s("x", &[2, 3], &[0; 6])], &["the model reads features: x must be f32 [B, T, D]"]),
        ("tiny", vec![], &["x.bin: has no tensor `x`"]),
        ("tiny", vec![x(), f32s("z", &[1], &[0.0])], &["x.bin: has a tensor `z`", "x, lengths, h0 and c0"]),
        (
            "tiny",
            vec![x(), i64s("lengths", &[2], &[3, 4])],
            &["lengths must be 2 numbers of 1 to 3, not [3, 4]"],
        ),
        ("tiny", vec![x(), i64s("lengths", &[2], &[0, 3])], &["lengths must be 2 numbers of 1 to 3"]),
        ("tiny", vec![x(), i64s("lengths", &[2], &[-1, 3])], &["lengths must be 2 numbers of 1 to 3"]),
        ("tiny", vec![x(), i64s("lengths", &[3], &[1; 3])], &["lengths must be 2 numbers"]),
        ("tiny", vec![x(), i64s("lengths", &[1, 2], &[1; 2])], &["lengths"]),
        (
            "tiny",
            vec![x(), f32s("lengths", &[2], &[1.0; 2])],
            &["x.bin: `lengths` is of type F32, it must be i64"],
        ),
        ("tiny", vec![x(), f32s("h0", &[1, 2, 4], &[0.0; 8])], &["h0 and c0: give both or neither"]),
        (
            "tiny",
            vec![x(), f32s("h0", &[1, 2, 4], &[0.0; 8]), f32s("c0", &[1, 1, 4], &[0.0; 4])],
            &["c0 is [1, 1, 4], it must be [L·K, B, H] = [1, 2, 4]"],
        ),
        (
            "text",
            vec![i64s("x", &[1, 2], &[0, 5])],
            &["token 5 is outside the vocabulary: it must be 0 to 4"],
        ),
        ("text", vec![i64s("x", &[1, 2], &[0, -1])], &["token -1 is outside the vocabulary"]),
        ("text", vec![i64s("x", &[2], &[0, 1])], &["x is [2], it must be [B, T]"]),
        ("text", vec![x()], &["the model reads tokens: x must be i64 [B, T]"]),
        (
            "text",
            vec![
                i64s("x", &[1, 1], &[0]),
                f32s("h0", &[1, 1, 4], &[0.0; 4]),
                f32s("c0", &[1, 1, 4], &[0.0; 4]),
            ],
            &["only an LSTM has c0: give h0 alone"],
        ),
        ("text", vec![i64s("x", &[1, 1], &[0]), f32s("c0", &[1, 1, 4], &[0.0; 4])], &["only an LSTM has c0"]),
    ];
    none(rows.iter().map(|(model, parts, says)| {
        w.write("x.bin", safetensors(parts));
        fault(&w, &format!("predict {model} --input x.bin --output new"), 1, says)
    }));
    w.write("x.bin", &safetensors(&[x()])[..60]);
    refused(&w, &[("predict tiny --input x.bin --output new", &["x.bin: is not a safetensors file"])]);
    w.write("x.bin", safetensors(&[x()]));
    refused(
        &w,
        &[("predict tiny --input x.bin --output no/new", &["no/new: ", "its folder does not exist"])],
    );
}

/// Options with which the adding problem's loss grows beyond all bounds.
const WILD: &str = "--set train.optimizer=sgd --set train.clip=0.0";

/// The error that ends a training run, which leaves what is documented and no model.
fn diverges(w: &Workshop, run: &str, set: &str) -> String {
    let said = w.run(&format!("train adding.toml --run {run} {WILD} {set}"));
    let errors: Vec<&str> = said.err.lines().filter(|line| line.starts_with("error:")).collect();
    assert!(said.code == Some(1) && said.out.is_empty() && errors.len() == 1, "{said:?}");
    assert!(!said.err.contains("panicked") && !w.path(run).join("model").exists(), "{said:?}");
    assert!(w.path(run).join("metrics.csv").is_file() && w.path(run).join("config.toml").is_file());
    errors[0].into()
}

#[test]
fn a_loss_that_is_not_finite() {
    let w = Workshop::of_files();
    let error = diverges(&w, "new", "--set train.lr=1e30");
    for says in [
        " step ",
        " of epoch 1 ",
        "learning rate 1.000e30",
        "there is no checkpoint before it",
        "lower train.lr",
    ] {
        assert!(error.contains(says), "no `{says}` in {error}");
    }
    assert!(!w.path("new/loss.svg").exists(), "there is no epoch to draw");
}

#[test]
fn a_loss_that_is_not_finite_after_an_epoch() {
    let w = Workshop::of_files();
    // One step an epoch: each loss is some 1e20 times the last.
    let set =
        "--set train.lr=1e10 --set train.batch_size=64 --set train.epochs=9 --set train.checkpoint_steps=1";
    let error = diverges(&w, "new", set);
    let checkpoint = error.split_once("the last checkpoint is ").expect(&error).1.split(':').next().unwrap();
    assert!(w.path(checkpoint).is_dir(), "{error}");
    assert!(w.read("new/loss.svg").contains("validation loss"));
    let metrics = w.read("new/metrics.csv");
    let loss: f64 = metrics.lines().last().unwrap().split(',').nth(2).unwrap().parse().unwrap();
    assert!(loss.is_finite(), "the last epoch has a validation loss of {loss}: {error}");
}

#[test]
fn a_validation_loss_that_is_not_finite() {
    let w = Workshop::of_files();
    // The only step has a good loss, and leaves weights so large that validation has none.
    let set = "--set train.epochs=1 --set train.lr=1e25 --set train.batch_size=64";
    if w.run(&format!("train adding.toml --run new {WILD} {set}")).code == Some(0) {
        w.run("info new").ok();
    } else {
        assert!(diverges(&w, "again", set).contains("validation"));
    }
}
