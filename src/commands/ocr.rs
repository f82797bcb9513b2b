//! `albumctl ocr`: finds lines of text and reads them.

use super::open_models::Networks;
use super::photos;
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::library::ModelHubError;
use crate::report::Format;
use crate::report::output::Output;
use crate::report::records::OcrRecord;

/// Read text in photos: screenshots, documents, receipts, signs
///
/// pp-ocrv6-small finds and reads lines of text; `albumctl models pull text` fetches it, about 31 MB. pp-ocrv6-tiny has a
/// tenth of its size. Both know Latin and Chinese characters, the larger one Japanese ones, too. tesseract-eng reads the
/// lines that pp-ocrv6-small finds with Tesseract's network, English only. Large JPEG files are analysed at a half, a
/// quarter or an eighth of their size, with a long side of at least 1024 pixels.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// The model, by name: pp-ocrv6-small, pp-ocrv6-tiny or tesseract-eng
    #[arg(long, value_name = "NAME", default_value = hub::TEXT_READER)]
    pub model: String,

    /// Languages of the text, such as eng or deu+fra: letters of others are not read. Codes are those of Tesseract or ISO 639-1;
    /// for a language that the model does not read, the error names those it does
    #[arg(short, long, alias = "language", value_name = "LANG[+LANG…]", value_delimiter = '+')]
    pub languages: Vec<String>,

    /// Print only the text, below the name of each photo if there are several
    #[arg(long, conflicts_with_all = ["format", "json"])]
    pub text: bool,

    /// Look at originals at their own size, however large
    #[arg(long)]
    pub full_resolution: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    let networks = Networks::configured(context)?;
    let hub = &networks.hub;
    let languages: Vec<&str> = args.languages.iter().flat_map(|part| part.split(',')).collect();
    let reading = networks.get(|| hub.text_reading(&args.model, &languages))?;
    let scan = photos::find(&args.photos, context)?;
    let medium = hub.medium().filter(|_| !args.full_resolution);
    let several = scan.photos.len() > 1;
    let mut output =
        if args.text { Output::open(Format::Jsonl, context.output_file())? } else { context.output::<OcrRecord>()? };
    let tally = photos::analyse(&scan, &[&reading], medium, hub, context, |_, report| {
        let text = report.text.as_ref().ok_or(ModelHubError::Unanswered)?;
        if args.text {
            let name = several.then(|| format!("==> {} <==\n", report.path.display()));
            let end = if text.lines.is_empty() { "" } else { "\n" };
            let shown = format!("{}{}{end}", name.unwrap_or_default(), text.joined());
            return Ok(output.write_text(&context.ui, &shown)?);
        }
        Ok(output.write(&context.ui, &OcrRecord::new(&report.path, text))?)
    })?;
    tally.close(output, context)?;
    Ok(tally.end("ocr", context))
}
