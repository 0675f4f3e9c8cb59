use super::{DeviceArgs, Format, ModelArg, print, print_json, write};
use crate::error::Result;
use crate::predict::{self, Sampling};
use crate::train::tell;
use clap::Args;
use std::time::Instant;

#[derive(Debug, Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    model: ModelArg,
    /// What the text starts with; it stands at the start of a line [default: nothing]
    #[arg(long, default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    prompt: String,
    /// Tokens to write: characters of a character model
    #[arg(long, default_value_t = 400)]
    tokens: usize,
    /// What the logits are divided by; 0: always the most probable token
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Draw from so many of the most probable tokens [default: from all]
    #[arg(long)]
    top_k: Option<usize>,
    /// Draw from the fewest most probable tokens that make up this probability
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    top_p: f64,
    /// Seeds the draws: the same seed gives the same text, on every backend
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How the text is printed; text: as it is written, after the prompt; json: one object at the end
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: GenerateArgs) -> Result<()> {
    let GenerateArgs { prompt, temperature, top_k, top_p, seed, .. } = args;
    let model = predict::load(&args.model.model, &args.device.select()?)?;
    let sampling = Sampling { temperature, top_k, top_p, seed };
    let live = args.format == Format::Text;
    // Shown when the first token is there: with what is refused, nothing is printed.
    let mut opening = live.then_some(&prompt);
    let mut text = String::new();
    let started = Instant::now();
    model.generate(&prompt, args.tokens, &sampling, &mut |piece| {
        text += piece;
        if let Some(opening) = opening.take() {
            write(opening)?;
        }
        if live { write(piece) } else { Ok(()) }
    })?;
    let seconds = started.elapsed().as_secs_f64();
    if live {
        print("")?;
    } else {
        print_json(&serde_json::json!({
            "model": model.folder().config.name,
            "prompt": prompt,
            "text": text,
            "tokens": args.tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "seed": seed,
        }))?;
    }
    let n = text.chars().count();
    tell(format!("{n} characters in {seconds:.3} s: {:.0} a second", n as f64 / seconds));
    Ok(())
}
