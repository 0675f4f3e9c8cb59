//! What cannot be built, trained or fed, refused with the reason before anything starts.

use super::schema::tenth;
use super::{
    AttentionScore, CellKind, Config, DataConfig, DataFormat, Feedback, Initialization, IoMode, Kernel, Loss,
    Merge, ModelConfig, OptimizerKind, OutputActivation, Part, SamplingSchedule, Schedule, ScheduledSampling,
    TaskConfig, TextUnit, TrainConfig,
};
use crate::error::{Error, Result};
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Sizes beyond these are slips or files from strangers; memory would end first.
const MAX_FEATURES: usize = 65_536;
const MAX_LAYERS: usize = 64;
const MAX_VOCABULARY: usize = 10_000_000;
const MAX_COUNT: usize = 1_000_000;
const MAX_SAMPLES: usize = 100_000_000;
const MAX_MS: usize = 1000;
const MAX_MELS: usize = 1024;
const MAX_COPIES: usize = 1000;
/// Of a picture; a model has an output a pixel.
pub(crate) const MAX_SIDE: usize = 128;
/// A name becomes a folder's; file systems take 255 bytes.
const MAX_NAME: usize = 100;
/// The formats that are read from files.
const FILES: &[DataFormat] = &[
    DataFormat::Ts,
    DataFormat::Csv,
    DataFormat::Text,
    DataFormat::LabelledText,
    DataFormat::Tagged,
    DataFormat::IntentSlots,
    DataFormat::Pairs,
    DataFormat::Attributes,
    DataFormat::Strokes,
    DataFormat::Wav,
];

impl Config {
    /// Refuses what cannot be, naming the key, the reason and what to write instead.
    ///
    /// Configurations that were read have passed it.
    pub fn check(&self) -> Result<()> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        need(
            !self.name.is_empty() && self.name.len() <= MAX_NAME && self.name.chars().all(allowed),
            "name",
            "becomes a folder's name: write 1 to 100 lowercase letters, digits and `-`, as in \"my-model\"",
        )?;
        need(
            !self.description.chars().any(char::is_control),
            "description",
            "has a control character, such as the end of a line: write one line of text",
        )?;
        self.model.check()?;
        self.data.check(self.model.mode)?;
        self.train.check()?;
        self.check_data_fits_model()?;
        self.check_training_fits()
    }

    fn check_data_fits_model(&self) -> Result<()> {
        let (model, data) = (&self.model, &self.data);
        let format = data.format.name();
        if data.format == DataFormat::Program {
            return Ok(()); // Its kind is known once it is there.
        }
        let words =
            matches!(data.format, DataFormat::LabelledText | DataFormat::Tagged | DataFormat::IntentSlots);
        let tokens =
            words || matches!(data.format, DataFormat::Text | DataFormat::Pairs | DataFormat::CopyMemory);
        need(
            words || model.characters.is_none(),
            "model.characters",
            &format!("the words of `{format}` data are not spelled out: leave it out"),
        )?;
        match model.d_embedding {
            None if tokens => Err(Error::config(
                "model.d_embedding",
                format!(
                    "`{format}` data is tokens, which need an embedding: write its size, as in d_embedding = 64"
                ),
            )),
            Some(_) if !tokens => Err(Error::config(
                "model.d_embedding",
                format!(
                    "`{format}` data is features, which have no embedding: leave out d_embedding and vocabulary"
                ),
            )),
            _ => Ok(()),
        }?;
        need(
            !matches!(data.format, DataFormat::Attributes | DataFormat::Strokes) || model.writes_tokens(),
            "model.feedback",
            &format!(
                "`{format}` data has tokens to write: write \"token\", and the size of a token's embedding, as in \
                 d_feedback = 64"
            ),
        )?;
        // What comes next stands among what the reverse direction has read.
        let reads_ahead = match data.format {
            DataFormat::Text => true,
            DataFormat::Csv if model.mode == IoMode::ManyToMany => {
                data.targets.is_empty()
                    || data.columns.is_empty()
                    || data.targets.iter().any(|target| data.columns.contains(target))
            }
            _ => false,
        };
        need(
            !(model.bidirectional && reads_ahead),
            "model.bidirectional",
            &format!(
                "a model of `{format}` data predicts what comes next, which the reverse direction has read: write false, or \
                 predict columns of a csv file that are not read (data.columns, data.targets)"
            ),
        )
    }

    fn check_training_fits(&self) -> Result<()> {
        let (model, train) = (&self.model, &self.train);
        let format = self.data.format;
        // Values to predict, or classes and tokens; of a program's data it is known once they are there.
        let usual = match format {
            DataFormat::Csv | DataFormat::Adding => Some(Loss::Mse),
            DataFormat::Ts
            | DataFormat::Text
            | DataFormat::LabelledText
            | DataFormat::Tagged
            | DataFormat::IntentSlots
            | DataFormat::Pairs
            | DataFormat::Attributes
            | DataFormat::Strokes
            | DataFormat::Wav
            | DataFormat::CopyMemory => Some(Loss::CrossEntropy),
            DataFormat::Program => None,
        };
        let loss = train.loss.or(usual);
        let (format, name) = (format.name(), loss.as_ref().map(written).unwrap_or_default());
        if usual == Some(Loss::Mse) && loss != usual {
            let message = format!(
                "`{format}` data has values to predict, not the classes that {name} needs: write mse"
            );
            return Err(Error::config("train.loss", message));
        }
        if usual == Some(Loss::CrossEntropy) && loss == Some(Loss::Mse) {
            let message = format!(
                "`{format}` data has classes to predict, not values: write cross-entropy or softmax-mse"
            );
            return Err(Error::config("train.loss", message));
        }
        need(
            matches!(loss, None | Some(Loss::Mse)) || model.output_activation == OutputActivation::Identity,
            "model.output_activation",
            &format!("the loss, {name}, takes the softmax itself: write identity or leave it out"),
        )?;
        need(
            train.label_smoothing == 0.0 || matches!(loss, None | Some(Loss::CrossEntropy)),
            "train.label_smoothing",
            "only loss = \"cross-entropy\" smooths labels: write 0, or that loss",
        )?;
        need(
            !train.carry_state || (self.data.format == DataFormat::Text && !model.bidirectional),
            "train.carry_state",
            "only windows of one text follow each other, and only one direction goes on: write false",
        )?;
        for (key, value) in [
            ("train.activation_regularization", train.activation_regularization),
            ("train.temporal_activation_regularization", train.temporal_activation_regularization),
        ] {
            need(
                value == 0.0 || model.mode == IoMode::ManyToMany,
                key,
                "only a many-to-many model has a head that reads every step: write 0",
            )?;
        }
        need(
            train.word_dropout == 0.0 || self.data.format == DataFormat::Program || self.data.has_words(),
            "train.word_dropout",
            "only words have an unknown one to stand for them: write 0",
        )?;
        need(
            train.scheduled_sampling.is_none() || model.writes_tokens(),
            "train.scheduled_sampling",
            "only the decoder of mode encoder-decoder, or of one-to-many with feedback = \"token\", reads its own \
             tokens: leave it out",
        )?;
        need(
            train.input_noise == 0.0 || model.d_embedding.is_none(),
            "train.input_noise",
            "tokens take no noise, only features do: write 0",
        )
    }
}

impl Config {
    /// A model to be trained by a program on data of its own; everything else at its default.
    pub fn new(name: &str, model: ModelConfig) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            model,
            data: DataConfig::program(),
            train: TrainConfig::default(),
        }
    }
}

impl DataConfig {
    /// Data that a program has.
    pub fn program() -> Self {
        Self {
            format: DataFormat::Program,
            train: None,
            valid: None,
            test: None,
            valid_fraction: tenth(),
            test_fraction: tenth(),
            standardize: true,
            columns: Vec::new(),
            targets: Vec::new(),
            horizon: None,
            trajectory: false,
            season: None,
            seasons: None,
            rows: None,
            window: None,
            unit: None,
            min_count: None,
            lowercase: false,
            label_delimiter: None,
            tag_column: None,
            languages: None,
            source_column: None,
            target_column: None,
            delexicalize: Vec::new(),
            pieces: None,
            target_pieces: None,
            share_pieces: false,
            side: None,
            spacing: None,
            copies: None,
            sample_rate: None,
            window_ms: None,
            hop_ms: None,
            mels: None,
            steps: None,
            samples: None,
        }
    }

    /// Rows that are predicted at a step.
    pub(crate) fn rows_ahead(&self) -> usize {
        if self.trajectory { self.horizon.unwrap_or(1) } else { 1 }
    }

    /// Whether samples are words, of which some are unknown.
    pub(crate) fn has_words(&self) -> bool {
        match self.format {
            DataFormat::LabelledText | DataFormat::Tagged | DataFormat::IntentSlots => true,
            DataFormat::Text => self.unit == Some(TextUnit::Word),
            _ => false,
        }
    }
}

impl ModelConfig {
    /// A model with everything else as a configuration file leaves it out.
    pub fn new(mode: IoMode, cell: CellKind, d_hidden: usize) -> Self {
        Self {
            mode,
            cell,
            d_input: None,
            vocabulary: None,
            d_embedding: None,
            embedding_deviation: None,
            d_hidden,
            n_layers: 1,
            bias: true,
            head_bias: None,
            bidirectional: false,
            merge: Merge::default(),
            dropout: 0.0,
            zoneout: 0.0,
            zoneout_cell: None,
            layer_norm: false,
            head_dropout: 0.0,
            input_dropout: 0.0,
            variational: false,
            embedding_dropout: 0.0,
            weight_drop: 0.0,
            tie_weights: false,
            d_output: None,
            output_activation: OutputActivation::default(),
            hidden_activation: None,
            reset: None,
            initialization: Initialization::default(),
            forget_bias: None,
            kernel: Kernel::default(),
            pooling: None,
            feedback: None,
            d_feedback: None,
            d_projection: None,
            attention: None,
            input_feeding: false,
            max_steps: None,
            tasks: Vec::new(),
            characters: None,
        }
    }

    /// Whether a decoder writes tokens, up to an end symbol: of an encoder-decoder, or alone.
    pub(crate) fn writes_tokens(&self) -> bool {
        self.mode == IoMode::EncoderDecoder || self.feedback == Some(Feedback::Token)
    }

    /// Whether the head, or each task's, has a bias.
    pub(crate) fn head_has_bias(&self) -> bool {
        self.head_bias.unwrap_or(self.bias)
    }

    /// The parts that there are: of features the input has no parameters.
    fn parts(&self) -> Vec<Part> {
        let input = self.d_embedding.map(|_| Part::Input);
        let heads = self.tasks.iter().map(|task| Part::Head(task.name.clone()));
        input.into_iter().chain([Part::Recurrent]).chain(heads).collect()
    }

    /// The parts that `task` trains, sorted; `Err`: a name that is none.
    pub(crate) fn trained_parts(&self, task: &TaskConfig) -> Result<Vec<Part>, String> {
        let all = self.parts();
        let mut trained = Vec::new();
        for name in &task.trains {
            match all.iter().find(|part| part.to_string() == *name) {
                Some(part) => trained.push(part.clone()),
                None if name == "all" => trained.extend(all.iter().cloned()),
                None => return Err(name.clone()),
            }
        }
        trained.sort();
        trained.dedup();
        Ok(trained)
    }

    /// Refuses what cannot be built, as [`Config::check`] does.
    pub fn check(&self) -> Result<()> {
        size("model.d_hidden", self.d_hidden, MAX_FEATURES)?;
        size("model.n_layers", self.n_layers, MAX_LAYERS)?;
        size("model.d_input", self.d_input, MAX_COUNT)?;
        size("model.vocabulary", self.vocabulary, MAX_VOCABULARY)?;
        size("model.d_embedding", self.d_embedding, MAX_FEATURES)?;
        size("model.d_feedback", self.d_feedback, MAX_FEATURES)?;
        size("model.d_projection", self.d_projection, MAX_FEATURES)?;
        // A token model's output is its vocabulary.
        size("model.d_output", self.d_output, MAX_VOCABULARY)?;
        size("model.max_steps", self.max_steps, MAX_COUNT)?;
        probability("model.dropout", self.dropout)?;
        probability("model.head_dropout", self.head_dropout)?;
        probability("model.input_dropout", self.input_dropout)?;
        probability("model.embedding_dropout", self.embedding_dropout)?;
        probability("model.weight_drop", self.weight_drop)?;
        if let Some(characters) = &self.characters {
            size("model.characters.vocabulary", characters.vocabulary, MAX_VOCABULARY)?;
            size("model.characters.d_embedding", characters.d_embedding, MAX_FEATURES)?;
            size("model.characters.d_hidden", characters.d_hidden, MAX_FEATURES)?;
        }
        need(
            self.dropout == 0.0 || self.n_layers > 1 || self.d_projection.is_some(),
            "model.dropout",
            "dropout acts between layers; there is one: use head_dropout, or n_layers = 2",
        )?;
        self.check_cell()?;
        self.check_input()?;
        self.check_mode()?;
        self.check_attention()
    }

    fn check_cell(&self) -> Result<()> {
        let cell = written(&self.cell);
        let only = |set: bool, owner: CellKind, key: &str| {
            let owns = written(&owner);
            need(
                !set || self.cell == owner,
                key,
                &format!("only cell = \"{owns}\" has it, and the cell is `{cell}`: leave it out"),
            )
        };
        only(self.hidden_activation.is_some(), CellKind::Rnn, "model.hidden_activation")?;
        only(self.reset.is_some(), CellKind::Gru, "model.reset")?;
        only(self.forget_bias.is_some(), CellKind::Lstm, "model.forget_bias")?;
        only(self.zoneout_cell.is_some(), CellKind::Lstm, "model.zoneout_cell")?;
        probability("model.zoneout", self.zoneout)?;
        probability("model.zoneout_cell", self.zoneout_cell.unwrap_or(0.0))?;
        need(
            !self.layer_norm || self.d_hidden > 1,
            "model.layer_norm",
            "a norm over one unit is always zero: write d_hidden = 2 or more, or false",
        )?;
        need(
            self.forget_bias.is_none_or(f64::is_finite),
            "model.forget_bias",
            "must be a finite number, as in forget_bias = 1.0",
        )?;
        need(
            self.forget_bias.is_none() || self.bias,
            "model.forget_bias",
            "there are no biases: write bias = true or leave it out",
        )
    }

    fn check_input(&self) -> Result<()> {
        need(
            self.embedding_dropout == 0.0 || self.d_embedding.is_some(),
            "model.embedding_dropout",
            "only tokens have an embedding: write 0, or input_dropout for features",
        )?;
        need(
            !self.tie_weights
                || (matches!(self.mode, IoMode::ManyToMany | IoMode::EncoderDecoder)
                    && self.d_embedding.is_some()),
            "model.tie_weights",
            "only many-to-many and encoder-decoder models of tokens read what they write: write false",
        )?;
        need(
            !self.tie_weights
                || self.mode == IoMode::EncoderDecoder
                || self.vocabulary.is_none()
                || self.d_output.is_none_or(|d| Some(d) == self.vocabulary),
            "model.tie_weights",
            "the model writes other tokens than it reads, so that a head cannot have the embedding's weight: write false",
        )?;
        let decoder = self.mode == IoMode::EncoderDecoder;
        let d_stack = if decoder { self.d_hidden } else { self.directions_merged() * self.d_hidden };
        // A decoder's embedding is as wide as all that the encoder reads of a token.
        let d_spelling = self.characters.as_ref().filter(|_| decoder).map_or(0, |c| 2 * c.d_hidden);
        need(
            !self.tie_weights
                || self.attention.is_some()
                || self.d_embedding.map(|d| d + d_spelling) == Some(d_stack),
            "model.d_embedding",
            &format!(
                "the head has the embedding's weight (tie_weights), and reads {d_stack} features: write {}{}",
                d_stack.saturating_sub(d_spelling).max(1),
                if decoder { ", or use attention, which gives what fits" } else { "" }
            ),
        )?;
        need(
            self.d_input.is_none() || (self.d_embedding.is_none() && self.vocabulary.is_none()),
            "model.d_input",
            "a model reads features or tokens: leave out d_input, or d_embedding and vocabulary",
        )?;
        need(
            self.vocabulary.is_none() || self.d_embedding.is_some(),
            "model.vocabulary",
            "tokens need an embedding: write its size too, as in d_embedding = 64",
        )?;
        need(
            self.embedding_deviation.is_none() || self.d_embedding.is_some() || self.d_feedback.is_some(),
            "model.embedding_deviation",
            "only tokens have an embedding: leave it out",
        )?;
        need(
            self.embedding_deviation.is_none_or(|deviation| deviation.is_finite() && deviation > 0.0),
            "model.embedding_deviation",
            "must be a finite number above 0, as in embedding_deviation = 0.1",
        )?;
        need(
            self.characters.is_none() || self.d_embedding.is_some(),
            "model.characters",
            "spellings stand beside words' embeddings: write their size too, as in d_embedding = 64",
        )
    }

    /// Times a layer's width of what a stack gives.
    fn directions_merged(&self) -> usize {
        if self.bidirectional && self.merge == Merge::Concat { 2 } else { 1 }
    }

    fn check_attention(&self) -> Result<()> {
        need(
            self.attention.is_none() || self.mode == IoMode::EncoderDecoder,
            "model.attention",
            "only the decoder of mode encoder-decoder looks back: leave it out, or write pooling = \"attention\" \
             in a many-to-one model",
        )?;
        need(
            self.attention != Some(AttentionScore::Dot) || self.directions_merged() == 1,
            "model.attention",
            &format!(
                "dot holds the decoder's {} features against as many, and the encoder's two directions give {}: \
                 write merge = \"sum\", or attention = \"general\"",
                self.d_hidden,
                2 * self.d_hidden
            ),
        )?;
        need(
            !self.input_feeding || self.attention.is_some(),
            "model.input_feeding",
            "feeds back what attention gives, and there is none: write attention = \"general\" too, or false",
        )?;
        need(
            !self.input_feeding || (!self.variational && self.weight_drop == 0.0),
            "model.input_feeding",
            "runs the decoder step by step, so that nothing can be dropped at every step alike: write false, or \
             variational = false and weight_drop = 0",
        )
    }

    fn check_tasks(&self) -> Result<()> {
        if self.mode != IoMode::MultiTask {
            return need(
                self.tasks.is_empty(),
                "model.tasks",
                "only mode = \"multi-task\" has tasks: leave them out",
            );
        }
        need(
            !self.tasks.is_empty(),
            "model.tasks",
            "a multi-task model needs tasks: write a [[model.tasks]] with `name` and `mode` for each",
        )?;
        need(
            self.d_output.is_none() && self.output_activation == OutputActivation::Identity,
            "model.d_output",
            "each task has its own head: leave out d_output and output_activation",
        )?;
        let names: Vec<&str> = self.tasks.iter().map(|task| task.name.as_str()).collect();
        if let Some(name) = duplicate(&names) {
            return Err(Error::config("model.tasks", format!("two tasks are called `{name}`: rename one")));
        }
        let mut untrained = self.parts();
        for task in &self.tasks {
            let key = |key: &str| format!("model.tasks.{}.{key}", task.name);
            size(&key("d_output"), task.d_output, MAX_VOCABULARY)?;
            need(
                matches!(task.mode, IoMode::ManyToOne | IoMode::ManyToMany),
                &key("mode"),
                &format!("is {}: a task is many-to-one or many-to-many", written(&task.mode)),
            )?;
            need(
                task.pooling.is_none() || task.mode == IoMode::ManyToOne,
                &key("pooling"),
                "only a many-to-one task pools: leave it out",
            )?;
            need(
                task.loss != Loss::Mse,
                &key("loss"),
                "tasks have classes to predict: write cross-entropy or softmax-mse",
            )?;
            need(
                task.weight.is_finite() && task.weight > 0.0,
                &key("weight"),
                &format!(
                    "must be a finite number above 0, not {}: leave out a task that is not to be trained",
                    task.weight
                ),
            )?;
            let trained = self.trained_parts(task).map_err(|name| {
                let parts: Vec<String> = self.parts().iter().map(ToString::to_string).collect();
                let message =
                    format!("there is no part `{name}`: write all, or some of {}", parts.join(", "));
                Error::config(key("trains"), message)
            })?;
            untrained.retain(|part| !trained.contains(part));
        }
        match untrained.first() {
            Some(part) => Err(Error::config(
                "model.tasks",
                format!(
                    "no task trains `{part}`, which would stay as it started: add it to the `trains` of one"
                ),
            )),
            None => Ok(()),
        }
    }

    fn check_mode(&self) -> Result<()> {
        self.check_tasks()?;
        need(
            !(self.bidirectional && self.mode == IoMode::OneToOne),
            "model.bidirectional",
            "a stream (mode one-to-one) has no end to start from: write false, or another mode",
        )?;
        need(
            !(self.bidirectional && self.mode == IoMode::OneToMany),
            "model.bidirectional",
            "a one-to-many stack feeds itself back and has no future to read: write false, or another mode",
        )?;
        need(
            self.merge == Merge::Concat || self.bidirectional,
            "model.merge",
            "there is one direction and nothing to merge: write bidirectional = true or leave it out",
        )?;
        need(
            self.pooling.is_none() || self.mode == IoMode::ManyToOne,
            "model.pooling",
            "only mode = \"many-to-one\" pools: leave it out",
        )?;
        need(
            self.feedback.is_none() || self.mode == IoMode::OneToMany,
            "model.feedback",
            "only mode = \"one-to-many\" reads its own output back: leave it out",
        )?;
        need(
            self.d_feedback.is_some() == (self.feedback == Some(Feedback::Token)),
            "model.d_feedback",
            "is the size of a token's embedding where feedback = \"token\", which needs it, as in d_feedback = 64: \
             write both or neither",
        )?;
        need(
            self.d_projection.is_none() || self.feedback == Some(Feedback::Token),
            "model.d_projection",
            "only mode = \"one-to-many\" with feedback = \"token\" reads a vector beside every token: leave it out",
        )?;
        need(
            self.d_projection.is_none() || self.d_embedding.is_none(),
            "model.d_projection",
            "projects features, and the model reads a token, whose embedding is of any size already: leave it out",
        )?;
        need(
            self.max_steps.is_none() || matches!(self.mode, IoMode::OneToMany | IoMode::EncoderDecoder),
            "model.max_steps",
            "only the modes one-to-many and encoder-decoder choose how long they write: leave it out",
        )?;
        need(
            self.mode != IoMode::EncoderDecoder || self.d_embedding.is_some(),
            "model.d_embedding",
            "the decoder of mode encoder-decoder writes tokens: write the size of their embedding, as in d_embedding = 64",
        )
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Recurrent => f.write_str("recurrent"),
            Self::Head(name) => write!(f, "head.{name}"),
        }
    }
}

impl DataFormat {
    /// As a file writes it: `copy-memory`.
    pub(crate) fn name(self) -> String {
        written(&self)
    }
}

impl DataConfig {
    /// Refuses what does not go together or cannot serve a model of `mode`, as [`Config::check`] does.
    ///
    /// No file is opened.
    pub fn check(&self, mode: IoMode) -> Result<()> {
        self.check_options()?;
        self.check_mode(mode)?;
        if FILES.contains(&self.format) {
            self.train_file()?;
        }
        size("data.horizon", self.horizon, MAX_COUNT)?;
        size("data.window", self.window, MAX_COUNT)?;
        size("data.season", self.season, MAX_COUNT)?;
        size("data.seasons", self.seasons, MAX_COUNT)?;
        need(
            self.seasons.is_none() || self.season.is_some(),
            "data.seasons",
            "is of values that stand data.season rows apart: write that too, or leave this out",
        )?;
        let back = self.season.unwrap_or(1).saturating_mul(self.seasons.unwrap_or(1));
        need(back <= MAX_COUNT, "data.seasons", &format!("go back {back} rows, the limit is {MAX_COUNT}"))?;
        size("data.rows", self.rows, MAX_SAMPLES)?;
        let horizon = self.horizon.unwrap_or(1);
        need(
            self.season.is_none_or(|season| season >= horizon),
            "data.season",
            &format!(
                "is of rows that are not read yet when {horizon} rows are predicted: write {horizon} or more"
            ),
        )?;
        need(
            self.season.is_none()
                || self.columns.is_empty()
                || self.targets.iter().all(|target| self.columns.contains(target)),
            "data.season",
            "what is predicted has to be read too, to be added to: write all of data.targets in data.columns",
        )?;
        size("data.min_count", self.min_count, MAX_COUNT)?;
        for (key, path) in [("train", &self.train), ("valid", &self.valid), ("test", &self.test)] {
            need(
                path.as_ref().is_none_or(|path| !path.as_os_str().is_empty()),
                &format!("data.{key}"),
                "is empty: write its path, or leave it out",
            )?;
        }
        size("data.tag_column", self.tag_column, MAX_COUNT)?;
        need(
            self.label_delimiter.as_deref() != Some(""),
            "data.label_delimiter",
            "is empty: write what ends a label, as in label_delimiter = \":\", or leave it out",
        )?;
        size("data.pieces", self.pieces, MAX_COUNT)?;
        size("data.target_pieces", self.target_pieces, MAX_COUNT)?;
        need(
            self.target_pieces.is_none() || !self.share_pieces,
            "data.target_pieces",
            "there is one vocabulary where share_pieces is set: write its size as data.pieces",
        )?;
        if let Some([source, target]) = &self.languages {
            need(
                source != target && ![source, target].iter().any(|l| l.is_empty() || l.contains(['.', '/'])),
                "data.languages",
                "write two different parts of file names, as in languages = [\"de\", \"en\"]",
            )?;
            for (key, column) in
                [("data.source_column", self.source_column), ("data.target_column", self.target_column)]
            {
                need(
                    column.is_none(),
                    key,
                    "files named by data.languages have no columns: leave one of them out",
                )?;
            }
        }
        size("data.side", self.side, MAX_SIDE)?;
        size("data.spacing", self.spacing, MAX_COUNT)?;
        size("data.copies", self.copies, MAX_COPIES)?;
        size("data.sample_rate", self.sample_rate, MAX_COUNT)?;
        size("data.window_ms", self.window_ms, MAX_MS)?;
        size("data.hop_ms", self.hop_ms, MAX_MS)?;
        size("data.mels", self.mels, MAX_MELS)?;
        size("data.steps", self.steps, MAX_COUNT)?;
        size("data.samples", self.samples, MAX_SAMPLES)?;
        need(
            self.format != DataFormat::Adding || self.steps != Some(1),
            "data.steps",
            "the adding problem marks one step in each half: write 2 or more",
        )?;
        probability("data.valid_fraction", self.valid_fraction)?;
        probability("data.test_fraction", self.test_fraction)?;
        let (valid, test) = self.fractions();
        need(
            valid + test < 1.0,
            "data.valid_fraction",
            &format!(
                "{valid}, with a data.test_fraction of {test}, leaves nothing to train on: \
                 write two that add up to less than 1"
            ),
        )?;
        for (key, columns) in [
            ("data.columns", &self.columns),
            ("data.targets", &self.targets),
            ("data.delexicalize", &self.delexicalize),
        ] {
            if let Some(column) = duplicate(columns) {
                return Err(Error::config(key, format!("names {column:?} twice: leave one out")));
            }
        }
        Ok(())
    }

    /// The training file, without which there is no data of the formats that are read from files.
    pub(crate) fn train_file(&self) -> Result<&Path> {
        self.train.as_deref().ok_or_else(|| {
            let format = self.format.name();
            let message =
                format!("`{format}` data comes from a file: write its path, as in train = \"data/my-file\"");
            Error::config("data.train", message)
        })
    }

    /// Parts of the training file that go to validation and to test: none where there is a file for it.
    pub(crate) fn fractions(&self) -> (f64, f64) {
        let unless = |file: bool, fraction| if file { 0.0 } else { fraction };
        (unless(self.valid.is_some(), self.valid_fraction), unless(self.test.is_some(), self.test_fraction))
    }

    /// An option without effect is a mistake of whoever set it.
    fn check_options(&self) -> Result<()> {
        use DataFormat::{
            Adding, Attributes, CopyMemory, Csv, IntentSlots, LabelledText, Pairs, Strokes, Tagged, Text, Wav,
        };
        const MADE: &[DataFormat] = &[Adding, CopyMemory];
        const WORDS: &[DataFormat] = &[Text, LabelledText, Tagged, IntentSlots];
        let options: [(&str, bool, &[DataFormat]); 34] = [
            ("train", self.train.is_some(), FILES),
            ("valid", self.valid.is_some(), FILES),
            ("test", self.test.is_some(), FILES),
            ("valid_fraction", self.valid_fraction != tenth(), FILES),
            ("test_fraction", self.test_fraction != tenth(), FILES),
            ("columns", !self.columns.is_empty(), &[Csv]),
            ("targets", !self.targets.is_empty(), &[Csv]),
            ("horizon", self.horizon.is_some(), &[Csv]),
            ("trajectory", self.trajectory, &[Csv]),
            ("season", self.season.is_some(), &[Csv]),
            ("seasons", self.seasons.is_some(), &[Csv]),
            ("rows", self.rows.is_some(), &[Csv]),
            ("window", self.window.is_some(), &[Csv, Text]),
            ("unit", self.unit.is_some(), &[Text]),
            ("min_count", self.min_count.is_some(), WORDS),
            ("lowercase", self.lowercase, &[Text, LabelledText, Tagged, IntentSlots, Pairs, Attributes]),
            ("label_delimiter", self.label_delimiter.is_some(), &[LabelledText]),
            ("tag_column", self.tag_column.is_some(), &[Tagged]),
            ("languages", self.languages.is_some(), &[Pairs]),
            ("source_column", self.source_column.is_some(), &[Pairs]),
            ("target_column", self.target_column.is_some(), &[Pairs]),
            ("delexicalize", !self.delexicalize.is_empty(), &[Attributes]),
            ("pieces", self.pieces.is_some(), &[Pairs, Attributes]),
            ("target_pieces", self.target_pieces.is_some(), &[Pairs]),
            ("share_pieces", self.share_pieces, &[Pairs]),
            ("side", self.side.is_some(), &[Strokes]),
            ("spacing", self.spacing.is_some(), &[Strokes]),
            ("copies", self.copies.is_some(), &[Strokes]),
            ("sample_rate", self.sample_rate.is_some(), &[Wav]),
            ("window_ms", self.window_ms.is_some(), &[Wav]),
            ("hop_ms", self.hop_ms.is_some(), &[Wav]),
            ("mels", self.mels.is_some(), &[Wav]),
            ("steps", self.steps.is_some(), &[Adding, CopyMemory, Pairs, Attributes, Strokes]),
            ("samples", self.samples.is_some(), MADE),
        ];
        for (key, set, formats) in options {
            need(
                !set || formats.contains(&self.format),
                &format!("data.{key}"),
                &format!(
                    "has no effect on `{}` data, only on {}: leave it out",
                    self.format.name(),
                    either(formats)
                ),
            )?;
        }
        for (key, set) in [("min_count", self.min_count.is_some()), ("lowercase", self.lowercase)] {
            need(
                !set || self.has_words() || matches!(self.format, Pairs | Attributes),
                &format!("data.{key}"),
                "only words have it: leave it out, or write unit = \"word\"",
            )?;
        }
        Ok(())
    }

    fn check_mode(&self, mode: IoMode) -> Result<()> {
        use IoMode::{EncoderDecoder, ManyToMany, ManyToOne, MultiTask, OneToMany, OneToOne};
        let (modes, what): (&[IoMode], _) = match self.format {
            DataFormat::Ts | DataFormat::Wav => (&[ManyToOne], "one label for a whole sequence"),
            DataFormat::Adding => (&[ManyToOne], "one sum for a whole sequence"),
            DataFormat::Text => (&[ManyToMany], "a next character at every step"),
            DataFormat::LabelledText => (&[ManyToOne], "one label for a whole text"),
            DataFormat::Tagged => (&[ManyToMany], "a tag for every word"),
            DataFormat::IntentSlots => (&[MultiTask], "an intent and a tag for every word"),
            DataFormat::Pairs => (&[EncoderDecoder], "a text to write for every text"),
            DataFormat::Attributes => (&[OneToMany], "a text to write for every set of attributes"),
            DataFormat::Strokes => (&[OneToMany], "the strokes of every picture"),
            DataFormat::CopyMemory => (&[ManyToMany], "a token to write at every step"),
            DataFormat::Csv => (&[OneToOne, ManyToOne, ManyToMany], "readings and the readings after them"),
            DataFormat::Program => return Ok(()),
        };
        need(
            modes.contains(&mode),
            "model.mode",
            &format!(
                "`{}` data has {what} and cannot serve {}: write {}, or another data.format",
                self.format.name(),
                written(&mode),
                either(modes)
            ),
        )
    }
}

impl TrainConfig {
    fn check(&self) -> Result<()> {
        size("train.epochs", self.epochs, MAX_COUNT)?;
        size("train.batch_size", self.batch_size, MAX_COUNT)?;
        size("train.schedule_every", self.schedule_every, MAX_COUNT)?;
        need(
            self.lr.is_finite() && self.lr > 0.0,
            "train.lr",
            &format!("must be a finite number above 0, as in lr = 0.001, not {}", self.lr),
        )?;
        not_negative("train.weight_decay", self.weight_decay.unwrap_or(0.0))?;
        not_negative("train.clip", self.clip)?;
        not_negative("train.checkpoint_minutes", self.checkpoint_minutes)?;
        not_negative("train.input_noise", self.input_noise)?;
        not_negative("train.activation_regularization", self.activation_regularization)?;
        not_negative("train.temporal_activation_regularization", self.temporal_activation_regularization)?;
        probability("train.average", self.average)?;
        probability("train.word_dropout", self.word_dropout)?;
        probability("train.momentum", self.momentum)?;
        probability("train.beta_1", self.beta_1)?;
        probability("train.beta_2", self.beta_2)?;
        probability("train.label_smoothing", self.label_smoothing)?;
        need(
            self.schedule_factor > 0.0 && self.schedule_factor <= 1.0,
            "train.schedule_factor",
            &format!("must be above 0 and at most 1, not {}", self.schedule_factor),
        )?;
        need(
            self.momentum == 0.0 || matches!(self.optimizer, OptimizerKind::Sgd | OptimizerKind::Rmsprop),
            "train.momentum",
            "only the optimizers sgd and rmsprop have it (adam has beta_1): write 0, or one of them",
        )?;
        need(
            self.schedule != Schedule::Noam || self.warmup_steps > 0,
            "train.warmup_steps",
            "schedule noam rises over its warm-up: write how many steps, as in warmup_steps = 400",
        )?;
        self.scheduled_sampling.as_ref().map_or(Ok(()), ScheduledSampling::check)
    }
}

impl ScheduledSampling {
    fn check(&self) -> Result<()> {
        let rate = self.rate;
        let (fits, range) = match self.schedule {
            SamplingSchedule::Linear => (rate > 0.0 && rate <= 1.0, "above 0 and at most 1, as in 0.0001"),
            SamplingSchedule::Exponential => (rate > 0.0 && rate < 1.0, "above 0 and below 1, as in 0.9999"),
            SamplingSchedule::InverseSigmoid => {
                (rate >= 1.0 && rate.is_finite(), "1 or more, and finite, as in 2000.0")
            }
        };
        let schedule = written(&self.schedule);
        need(
            fits,
            "train.scheduled_sampling.rate",
            &format!("of schedule {schedule} must be {range}, not {rate}"),
        )?;
        need(
            (0.0..=1.0).contains(&self.floor),
            "train.scheduled_sampling.floor",
            &format!("must be 0 to 1, not {}", self.floor),
        )
    }
}

fn need(holds: bool, key: &str, message: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::config(key, message)) }
}

fn size(key: &str, value: impl Into<Option<usize>>, most: usize) -> Result<()> {
    match value.into() {
        Some(value) if !(1..=most).contains(&value) => {
            Err(Error::config(key, format!("must be 1 to {most}, not {value}")))
        }
        _ => Ok(()),
    }
}

fn probability(key: &str, value: f64) -> Result<()> {
    need((0.0..1.0).contains(&value), key, &format!("must be 0 or more and less than 1, not {value}"))
}

fn not_negative(key: &str, value: f64) -> Result<()> {
    need(value.is_finite() && value >= 0.0, key, &format!("must be a finite number, 0 or more, not {value}"))
}

/// A choice as a file writes it: `many-to-one`.
fn written(choice: &impl Serialize) -> String {
    match toml::Value::try_from(choice) {
        Ok(toml::Value::String(name)) => name,
        other => unreachable!("a choice is written as a string, not {other:?}"),
    }
}

/// Choices as a sentence lists them: `a, b or c`.
fn either<T: Serialize>(choices: &[T]) -> String {
    let mut names: Vec<String> = choices.iter().map(|choice| written(choice)).collect();
    let last = names.pop().expect("there is a choice");
    if names.is_empty() { last } else { format!("{} or {last}", names.join(", ")) }
}

/// The first name that is there twice.
pub(crate) fn duplicate<T: AsRef<str>>(names: &[T]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    names.iter().map(AsRef::as_ref).find(|n| !seen.insert(*n))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TS: &str = r#"
        name = "a"
        model = { mode = "many-to-one", cell = "lstm", d_hidden = 4 }
        data = { format = "ts", train = "a.ts" }
    "#;
    const CSV: &str = r#"
        name = "a"
        model = { mode = "many-to-many", cell = "gru", d_hidden = 4 }
        data = { format = "csv", train = "a.csv" }
    "#;
    const TEXT: &str = r#"
        name = "a"
        model = { mode = "many-to-many", cell = "gru", d_hidden = 4, d_embedding = 3 }
        data = { format = "text", train = "a.txt" }
    "#;
    const ADDING: &str = r#"
        name = "a"
        model = { mode = "many-to-one", cell = "rnn", d_hidden = 4 }
        data.format = "adding"
    "#;
    const COPY: &str = r#"
        name = "a"
        model = { mode = "many-to-many", cell = "rnn", d_hidden = 4, d_embedding = 3 }
        data.format = "copy-memory"
    "#;
    const LABELLED: &str = r#"
        name = "a"
        model = { mode = "many-to-one", cell = "gru", d_hidden = 4, d_embedding = 3 }
        data = { format = "labelled-text", train = "a.txt" }
    "#;
    const TAGGED: &str = r#"
        name = "a"
        model = { mode = "many-to-many", cell = "gru", d_hidden = 4, d_embedding = 3 }
        data = { format = "tagged", train = "a.tsv" }
    "#;
    const PROGRAM: &str = r#"
        name = "a"
        model = { mode = "many-to-one", cell = "gru", d_hidden = 4 }
        data.format = "program"
    "#;

    const PAIRS: &str = r#"
        name = "a"
        model = { mode = "encoder-decoder", cell = "gru", d_hidden = 4, d_embedding = 3 }
        data.format = "program"
    "#;

    const ATTRIBUTES: &str = r#"
        name = "a"
        model = { mode = "one-to-many", cell = "gru", d_hidden = 4, feedback = "token", d_feedback = 3 }
        data = { format = "attributes", train = "a.csv" }
    "#;

    const STROKES: &str = r#"
        name = "a"
        model = { mode = "one-to-many", cell = "gru", d_hidden = 4, feedback = "token", d_feedback = 3 }
        data = { format = "strokes", train = "a.jsonl" }
    "#;

    /// `overrides` are separated by spaces.
    fn read(text: &str, overrides: &str) -> Result<Config> {
        let overrides: Vec<String> = overrides.split_whitespace().map(Into::into).collect();
        Config::from_toml(text, Path::new("a.toml"), &overrides)
    }

    #[test]
    fn what_can_be_is_taken() {
        for (text, overrides) in [
            (TS, ""),
            (CSV, ""),
            (TEXT, ""),
            (ADDING, ""),
            (COPY, ""),
            (TS, "model.n_layers=2 model.dropout=0.5 model.head_dropout=0.5"),
            (TS, "model.bidirectional=true model.merge=sum model.pooling=attention"),
            (TS, "model.forget_bias=1"),
            (TS, "model.layer_norm=true model.zoneout=0.1 model.zoneout_cell=0.5"),
            (TS, "model.cell=gru model.reset=before"),
            (TS, "model.cell=rnn model.hidden_activation=relu"),
            (TS, "train.loss=softmax-mse"),
            (TS, "train.label_smoothing=0.1 train.input_noise=0.1"),
            (TS, "model.d_input=12 model.d_output=9"),
            (CSV, "model.mode=one-to-one"),
            (CSV, "model.mode=many-to-one model.output_activation=tanh"),
            (CSV, "data.horizon=3 data.columns=['x'] data.targets=['y']"),
            (CSV, "data.horizon=3 data.trajectory=true data.season=3 data.rows=100"),
            (CSV, "data.season=7 data.columns=['x','y'] data.targets=['y']"),
            (CSV, "model.output_activation=softmax train.loss=mse"),
            (TEXT, "train.loss=softmax-mse model.vocabulary=100 data.window=32"),
            (COPY, "model.bidirectional=true data.steps=30 data.samples=100"),
            (TEXT, "data.unit=word data.min_count=2 data.lowercase=true train.word_dropout=0.1"),
            (TEXT, "data.unit=byte model.embedding_deviation=0.1 model.input_dropout=0.5"),
            (LABELLED, "data.label_delimiter=: data.min_count=2 data.lowercase=true model.pooling=max"),
            (LABELLED, "model.characters={d_embedding=2,d_hidden=3} train.word_dropout=0.5"),
            (TAGGED, "data.tag_column=2 model.bidirectional=true train.average=0.999 train.bucket=false"),
            (TAGGED, "model.characters={d_embedding=2,d_hidden=3,vocabulary=9}"),
            (ADDING, "train.optimizer=sgd train.momentum=0.9 train.clip=0"),
            (ADDING, "train.schedule=noam train.warmup_steps=10"),
            (ADDING, "train.schedule=step"),
            // A fraction counts where there is no file for it.
            (TS, "data.test=b data.valid_fraction=0.5 data.test_fraction=0.5"),
            (TS, "data.valid=b data.valid_fraction=0.5 data.test_fraction=0.5"),
            (CSV, "data.columns=['x','y'] data.targets=['x']"),
            // Whether a program gives features or tokens, values or classes, is known once it does.
            (PROGRAM, ""),
            (PROGRAM, "model.mode=one-to-one"),
            (PROGRAM, "model.mode=one-to-many"),
            (PROGRAM, "model.mode=one-to-many model.feedback=token model.d_feedback=3"),
            (PROGRAM, "model.mode=one-to-many model.feedback=token model.d_feedback=3 model.d_projection=2"),
            (STROKES, "model.d_projection=8 model.input_dropout=0.1 model.dropout=0.1"),
            (ATTRIBUTES, "model.embedding_deviation=0.1 model.head_dropout=0.5"),
            (STROKES, "data.side=20 data.spacing=4 data.copies=3 data.steps=90 train.input_noise=0.1"),
            (ATTRIBUTES, "data.delexicalize=['name'] data.pieces=50 data.steps=9 data.lowercase=true"),
            (ATTRIBUTES, "train.scheduled_sampling={schedule='linear',rate=0.001} train.label_smoothing=0.1"),
            (PROGRAM, "model.mode=many-to-many"),
            (PROGRAM, "model.mode=encoder-decoder model.d_embedding=3"),
            (PAIRS, "model.attention=dot"),
            (PAIRS, "model.attention=dot model.bidirectional=true model.merge=mean"),
            (PAIRS, "model.attention=general model.bidirectional=true model.tie_weights=true"),
            (PAIRS, "model.attention=additive model.input_feeding=true model.dropout=0.1 model.n_layers=2"),
            (PAIRS, "model.tie_weights=true model.d_embedding=4 model.vocabulary=7 model.d_output=9"),
            (PAIRS, "train.scheduled_sampling={schedule='linear',rate=0.001,floor=0.5}"),
            (PAIRS, "train.scheduled_sampling={schedule='exponential',rate=0.999,floor=1.0}"),
            (PAIRS, "train.scheduled_sampling={schedule='inverse-sigmoid',rate=100.0}"),
            (PROGRAM, "model.d_embedding=3 model.vocabulary=9"),
            (PROGRAM, "model.d_input=3 model.bidirectional=true"),
            (PROGRAM, "train.loss=mse model.output_activation=tanh"),
            (PROGRAM, "train.loss=cross-entropy train.label_smoothing=0.1"),
            (PROGRAM, "train.loss=softmax-mse"),
            (PROGRAM, "model.output_activation=tanh"),
            (PROGRAM, "train.label_smoothing=0.1"),
        ] {
            read(text, overrides).unwrap_or_else(|error| panic!("{overrides}: {error}"));
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_key_and_reason() {
        for (text, overrides, key, reason) in [
            (TS, "name=", "name", "lowercase letters"),
            (TS, "name=A", "name", "lowercase letters"),
            (TS, "name=../a", "name", "lowercase letters"),
            // Sizes.
            (TS, "model.d_hidden=0", "model.d_hidden", "1 to 65536, not 0"),
            (TS, "model.d_hidden=65537", "model.d_hidden", "1 to 65536"),
            (TS, "model.n_layers=0", "model.n_layers", "1 to 64"),
            (TS, "model.n_layers=65", "model.n_layers", "1 to 64"),
            (TS, "model.d_input=0", "model.d_input", "must be 1"),
            (TS, "model.d_output=0", "model.d_output", "must be 1"),
            (TEXT, "model.vocabulary=0", "model.vocabulary", "must be 1"),
            (TEXT, "model.vocabulary=10000001", "model.vocabulary", "1 to 10000000"),
            (TEXT, "model.d_embedding=0", "model.d_embedding", "must be 1"),
            (TS, "model.max_steps=0", "model.max_steps", "must be 1"),
            (TS, "train.epochs=0", "train.epochs", "must be 1"),
            (TS, "train.batch_size=0", "train.batch_size", "must be 1"),
            (TS, "train.schedule_every=0", "train.schedule_every", "must be 1"),
            (CSV, "data.horizon=0", "data.horizon", "must be 1"),
            (CSV, "data.window=0", "data.window", "must be 1"),
            (COPY, "data.steps=0", "data.steps", "must be 1"),
            (ADDING, "data.steps=1", "data.steps", "2 or more"),
            (ADDING, "data.samples=0", "data.samples", "must be 1"),
            // Numbers.
            (TS, "model.n_layers=2 model.dropout=1", "model.dropout", "less than 1"),
            (TS, "model.n_layers=2 model.dropout=nan", "model.dropout", "less than 1"),
            (TS, "model.head_dropout=-0.1", "model.head_dropout", "0 or more"),
            (TS, "train.lr=0", "train.lr", "above 0"),
            (TS, "train.lr=inf", "train.lr", "finite"),
            (TS, "train.weight_decay=-1", "train.weight_decay", "0 or more"),
            (TS, "train.clip=-1", "train.clip", "0 or more"),
            (TS, "train.clip=inf", "train.clip", "finite"),
            (TS, "train.label_smoothing=1", "train.label_smoothing", "less than 1"),
            (TS, "train.input_noise=-1", "train.input_noise", "0 or more"),
            (TS, "train.beta_1=1", "train.beta_1", "less than 1"),
            (TS, "train.beta_2=-1", "train.beta_2", "0 or more"),
            (TS, "train.optimizer=sgd train.momentum=1", "train.momentum", "less than 1"),
            (TS, "train.schedule_factor=0", "train.schedule_factor", "above 0"),
            (TS, "train.schedule_factor=1.5", "train.schedule_factor", "at most 1"),
            (TS, "data.valid_fraction=1", "data.valid_fraction", "less than 1"),
            (TS, "data.test_fraction=-1", "data.test_fraction", "0 or more"),
            (
                TS,
                "data.valid_fraction=0.5 data.test_fraction=0.5",
                "data.valid_fraction",
                "nothing to train on",
            ),
            (TS, "model.forget_bias=nan", "model.forget_bias", "finite"),
            // The model.
            (TS, "model.dropout=0.1", "model.dropout", "there is one: use head_dropout"),
            (TS, "model.hidden_activation=relu", "model.hidden_activation", "only cell = \"rnn\""),
            (TS, "model.reset=after", "model.reset", "only cell = \"gru\""),
            (CSV, "model.forget_bias=1", "model.forget_bias", "only cell = \"lstm\""),
            (TS, "model.forget_bias=1 model.bias=false", "model.forget_bias", "bias = true"),
            (
                TS,
                "model.forget_bias=1 model.bias=false model.head_bias=true",
                "model.forget_bias",
                "bias = true",
            ),
            (TS, "description=\"a\\u0000b\"", "description", "control character"),
            (TS, "description=\"a\\nb\"", "description", "one line"),
            (TS, "model.zoneout=1", "model.zoneout", "less than 1"),
            (TS, "model.zoneout_cell=-0.1", "model.zoneout_cell", "0 or more"),
            (CSV, "model.zoneout_cell=0.1", "model.zoneout_cell", "only cell = \"lstm\""),
            (TS, "model.d_hidden=1 model.layer_norm=true", "model.layer_norm", "d_hidden = 2"),
            (CSV, "model.pooling=mean", "model.pooling", "only mode = \"many-to-one\""),
            (TS, "model.merge=sum", "model.merge", "bidirectional = true"),
            (TEXT, "model.d_input=3", "model.d_input", "features or tokens"),
            (TS, "model.d_input=3 model.vocabulary=3", "model.d_input", "features or tokens"),
            (TS, "model.vocabulary=3", "model.vocabulary", "d_embedding = 64"),
            (
                CSV,
                "model.mode=one-to-one model.bidirectional=true",
                "model.bidirectional",
                "no end to start from",
            ),
            (
                CSV,
                "model.mode=one-to-many model.bidirectional=true",
                "model.bidirectional",
                "feeds itself back",
            ),
            (TS, "model.max_steps=3", "model.max_steps", "one-to-many and encoder-decoder"),
            (TS, "model.mode=encoder-decoder", "model.d_embedding", "writes tokens"),
            (TEXT, "model.attention=general", "model.attention", "encoder-decoder looks back"),
            (TS, "model.attention=general", "model.attention", "pooling = \"attention\""),
            (
                PAIRS,
                "model.attention=dot model.bidirectional=true",
                "model.attention",
                "write merge = \"sum\", or attention = \"general\"",
            ),
            (PAIRS, "model.input_feeding=true", "model.input_feeding", "write attention = \"general\" too"),
            (
                PAIRS,
                "model.attention=general model.input_feeding=true model.variational=true",
                "model.input_feeding",
                "step by step",
            ),
            (
                PAIRS,
                "model.attention=general model.input_feeding=true model.weight_drop=0.1",
                "model.input_feeding",
                "weight_drop = 0",
            ),
            (
                PAIRS,
                "model.tie_weights=true",
                "model.d_embedding",
                "reads 4 features: write 4, or use attention",
            ),
            (PAIRS, "model.tie_weights=true model.bidirectional=true", "model.d_embedding", "write 4"),
            (
                PAIRS,
                "model.tie_weights=true model.characters={d_embedding=2,d_hidden=1}",
                "model.d_embedding",
                "write 2",
            ),
            (TS, "model.tie_weights=true", "model.tie_weights", "many-to-many and encoder-decoder"),
            // The data.
            (TS, "model.mode=many-to-many", "model.mode", "write many-to-one, or another"),
            (CSV, "model.mode=one-to-many", "model.mode", "one-to-one, many-to-one or many-to-many"),
            (TEXT, "model.mode=many-to-one", "model.mode", "write many-to-many"),
            (ADDING, "model.mode=many-to-many", "model.mode", "write many-to-one"),
            (COPY, "model.mode=encoder-decoder", "model.mode", "write many-to-many"),
            (TEXT, "model.bidirectional=true", "model.bidirectional", "has read"),
            (TS, "model.d_embedding=3", "model.d_embedding", "`ts` data is features"),
            (CSV, "model.d_embedding=3", "model.d_embedding", "`csv` data is features"),
            (ADDING, "model.d_embedding=3", "model.d_embedding", "`adding` data is features"),
            (CSV, "data.format=text", "model.d_embedding", "`text` data is tokens"),
            (
                ADDING,
                "data.format=copy-memory model.mode=many-to-many",
                "model.d_embedding",
                "`copy-memory` data is tokens",
            ),
            (ADDING, "data.format=ts", "data.train", "comes from a file"),
            (ADDING, "data.train=a", "data.train", "ts, csv, text"),
            (ADDING, "data.valid=a", "data.valid", "no effect on `adding` data"),
            (ADDING, "data.test=a", "data.test", "leave it out"),
            (TS, "data.columns=['x']", "data.columns", "csv"),
            (TS, "data.targets=['x']", "data.targets", "csv"),
            (TEXT, "data.horizon=2", "data.horizon", "csv"),
            (TS, "data.window=2", "data.window", "csv or text"),
            (TEXT, "data.trajectory=true", "data.trajectory", "only on csv"),
            (TEXT, "data.season=2", "data.season", "only on csv"),
            (TEXT, "data.rows=2", "data.rows", "only on csv"),
            (CSV, "data.rows=0", "data.rows", "must be 1"),
            (CSV, "data.season=0", "data.season", "must be 1"),
            (CSV, "data.seasons=2", "data.seasons", "write that too"),
            (CSV, "data.season=2 data.seasons=0", "data.seasons", "must be 1"),
            (CSV, "data.season=1000000 data.seasons=1000000", "data.seasons", "the limit is"),
            (CSV, "data.season=3 data.horizon=4", "data.season", "write 4 or more"),
            (CSV, "data.season=3 data.columns=['x'] data.targets=['y']", "data.season", "in data.columns"),
            (TS, "data.steps=2", "data.steps", "adding, copy-memory, pairs, attributes or strokes"),
            (TS, "data.delexicalize=['name']", "data.delexicalize", "only on attributes"),
            (TS, "data.samples=2", "data.samples", "adding or copy-memory"),
            (ADDING, "data.valid_fraction=0.2", "data.valid_fraction", "no effect"),
            (COPY, "data.test_fraction=0.2", "data.test_fraction", "no effect"),
            (COPY, "data.window=2", "data.window", "csv or text"),
            (CSV, "data.columns=['x','y','x']", "data.columns", "\"x\" twice"),
            (CSV, "data.targets=[\"\\n\",\"\\n\"]", "data.targets", "\"\\n\" twice"),
            (PROGRAM, "data.train=a", "data.train", "no effect on `program` data"),
            (PROGRAM, "data.valid=a", "data.valid", "ts, csv, text"),
            (PROGRAM, "data.test=a", "data.test", "ts, csv, text"),
            (PROGRAM, "data.valid_fraction=0.2", "data.valid_fraction", "ts, csv, text"),
            (PROGRAM, "data.test_fraction=0.2", "data.test_fraction", "ts, csv, text"),
            (PROGRAM, "data.columns=['x']", "data.columns", "only on csv"),
            (PROGRAM, "data.targets=['x']", "data.targets", "only on csv"),
            (PROGRAM, "data.horizon=2", "data.horizon", "only on csv"),
            (PROGRAM, "data.window=2", "data.window", "csv or text"),
            (PROGRAM, "data.steps=2", "data.steps", "adding, copy-memory, pairs, attributes or strokes"),
            (ATTRIBUTES, "model.mode=encoder-decoder", "model.feedback", "only mode = \"one-to-many\""),
            (ATTRIBUTES, "model.d_feedback=0", "model.d_feedback", "must be 1"),
            (ATTRIBUTES, "model.feedback=class", "model.d_feedback", "both or neither"),
            (ATTRIBUTES, "model.d_embedding=3", "model.d_embedding", "`attributes` data is features"),
            (ATTRIBUTES, "data.delexicalize=['a','a']", "data.delexicalize", "\"a\" twice"),
            (ATTRIBUTES, "data.languages=['a','b']", "data.languages", "only on pairs"),
            (ATTRIBUTES, "train.loss=mse", "train.loss", "cross-entropy or softmax-mse"),
            (ATTRIBUTES, "data.side=8", "data.side", "only on strokes"),
            (TS, "model.d_projection=3", "model.d_projection", "one-to-many"),
            (PAIRS, "model.d_projection=3", "model.d_projection", "one-to-many"),
            (
                PROGRAM,
                "model.mode=one-to-many model.d_projection=3",
                "model.d_projection",
                "with feedback = \"token\"",
            ),
            (STROKES, "model.d_projection=0", "model.d_projection", "must be 1"),
            (STROKES, "model.d_projection=65537", "model.d_projection", "1 to 65536"),
            (
                PROGRAM,
                "model.mode=one-to-many model.feedback=token model.d_feedback=3 model.d_embedding=3 model.d_projection=3",
                "model.d_projection",
                "the model reads a token",
            ),
            (STROKES, "data.pieces=60", "data.pieces", "only on pairs or attributes"),
            (STROKES, "model.mode=many-to-one", "model.feedback", "only mode = \"one-to-many\""),
            (STROKES, "model.d_embedding=3", "model.d_embedding", "`strokes` data is features"),
            (STROKES, "data.side=0", "data.side", "must be 1"),
            (STROKES, "data.side=1000", "data.side", "must be 1"),
            (STROKES, "data.spacing=0", "data.spacing", "must be 1"),
            (STROKES, "data.copies=0", "data.copies", "must be 1"),
            (STROKES, "train.loss=mse", "train.loss", "cross-entropy or softmax-mse"),
            (PROGRAM, "data.samples=2", "data.samples", "adding or copy-memory"),
            (LABELLED, "model.mode=many-to-many", "model.mode", "write many-to-one"),
            (TAGGED, "model.mode=many-to-one", "model.mode", "write many-to-many"),
            (TAGGED, "data.tag_column=0", "data.tag_column", "must be 1"),
            (TAGGED, "data.unit=word", "data.unit", "only on text"),
            (LABELLED, "data.min_count=0", "data.min_count", "must be 1"),
            (LABELLED, "data.label_delimiter=", "data.label_delimiter", "is empty"),
            (TEXT, "data.min_count=2", "data.min_count", "unit = \"word\""),
            (TEXT, "data.lowercase=true", "data.lowercase", "unit = \"word\""),
            (CSV, "data.format=tagged", "model.d_embedding", "`tagged` data is tokens"),
            (TEXT, "model.characters={d_embedding=2,d_hidden=3}", "model.characters", "not spelled out"),
            (TAGGED, "model.characters={d_embedding=2,d_hidden=0}", "model.characters.d_hidden", "must be 1"),
            (PROGRAM, "model.characters={d_embedding=2,d_hidden=2}", "model.characters", "embeddings"),
            (TS, "model.embedding_deviation=1", "model.embedding_deviation", "only tokens"),
            (TEXT, "model.embedding_deviation=0", "model.embedding_deviation", "above 0"),
            (TEXT, "model.input_dropout=1", "model.input_dropout", "less than 1"),
            // The training.
            (
                TEXT,
                "train.scheduled_sampling={schedule='linear',rate=0.1}",
                "train.scheduled_sampling",
                "only the decoder",
            ),
            (
                PAIRS,
                "train.scheduled_sampling={schedule='linear',rate=0.0}",
                "train.scheduled_sampling.rate",
                "at most 1",
            ),
            (
                PAIRS,
                "train.scheduled_sampling={schedule='exponential',rate=1.0}",
                "train.scheduled_sampling.rate",
                "below 1",
            ),
            (
                PAIRS,
                "train.scheduled_sampling={schedule='inverse-sigmoid',rate=0.5}",
                "train.scheduled_sampling.rate",
                "1 or more",
            ),
            (
                PAIRS,
                "train.scheduled_sampling={schedule='linear',rate=0.1,floor=1.5}",
                "train.scheduled_sampling.floor",
                "0 to 1, not 1.5",
            ),
            (TEXT, "train.word_dropout=0.1", "train.word_dropout", "only words"),
            (TAGGED, "train.word_dropout=1", "train.word_dropout", "less than 1"),
            (TAGGED, "train.average=1", "train.average", "less than 1"),
            (TAGGED, "train.loss=mse", "train.loss", "cross-entropy or softmax-mse"),
            (
                PROGRAM,
                "train.loss=cross-entropy model.output_activation=tanh",
                "model.output_activation",
                "takes the softmax itself",
            ),
            (PROGRAM, "train.loss=mse train.label_smoothing=0.1", "train.label_smoothing", "cross-entropy"),
            (TS, "train.momentum=0.9", "train.momentum", "sgd and rmsprop"),
            (TS, "train.schedule=noam", "train.warmup_steps", "warmup_steps = 400"),
            (CSV, "train.loss=cross-entropy", "train.loss", "write mse"),
            (ADDING, "train.loss=softmax-mse", "train.loss", "write mse"),
            (TS, "train.loss=mse", "train.loss", "cross-entropy or softmax-mse"),
            (TS, "model.output_activation=softmax", "model.output_activation", "takes the softmax itself"),
            (
                TEXT,
                "model.output_activation=tanh train.loss=softmax-mse",
                "model.output_activation",
                "takes the softmax itself",
            ),
            (
                TS,
                "train.label_smoothing=0.1 train.loss=softmax-mse",
                "train.label_smoothing",
                "cross-entropy",
            ),
            (CSV, "train.label_smoothing=0.1", "train.label_smoothing", "cross-entropy"),
            (TEXT, "train.input_noise=0.1", "train.input_noise", "only features"),
        ] {
            let error = read(text, overrides).expect_err(overrides);
            let shown = error.to_string();
            assert!(!shown.contains('\n'), "{overrides}: {shown}");
            let Error::Config { key: found, message } = error else {
                panic!("{overrides}: {shown}");
            };
            assert_eq!(found, key, "{overrides}: {message}");
            assert!(message.contains(reason), "{overrides}: {message}");
        }
    }

    #[test]
    fn a_model_made_by_hand_has_the_files_defaults() {
        let read = read(TS, "").unwrap().model;
        assert_eq!(read, ModelConfig::new(IoMode::ManyToOne, CellKind::Lstm, 4));
        read.check().unwrap();
    }

    #[test]
    fn an_encoder_reads_both_ways_and_its_decoder_may_stop_itself() {
        let mut model = ModelConfig::new(IoMode::EncoderDecoder, CellKind::Gru, 8);
        assert!(model.check().is_err());
        model.d_embedding = Some(4);
        model.bidirectional = true;
        model.max_steps = Some(20);
        model.check().unwrap();
        model = ModelConfig::new(IoMode::OneToMany, CellKind::Gru, 8);
        model.max_steps = Some(20);
        model.check().unwrap();
    }
}
