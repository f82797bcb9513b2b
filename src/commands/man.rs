//! `albumctl man`: the manual pages in roff, from the same text as `--help`.

use std::path::PathBuf;

use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::report::output::whole_file;
use crate::report::place::Content;

/// Print the manual page; `albumctl man models pull` for one command, e.g. `albumctl man | man -l -`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command, e.g. models pull
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Returns the examples of a command, each with what it does and its command line.
pub type Examples = fn(&str) -> &'static [(&'static str, &'static str)];

/// Sections that are the same on every page.
const COMMON: [(&str, &[(&str, &str)]); 3] = [
    (
        "ENVIRONMENT",
        &[
            ("ALBUMCTL_CONFIG", "A configuration file, as --config."),
            ("ALBUMCTL_KEY, ALBUMCTL_PART__KEY", "Any key of the configuration, e.g. ALBUMCTL_LIMITS__MAX_SECONDS=5."),
            ("XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_DATA_HOME", "Where the files below lie."),
            ("http_proxy, https_proxy, all_proxy, no_proxy", "Proxies for models that are fetched."),
            ("SSL_CERT_FILE", "Certificates of authorities of your own."),
            ("COLUMNS, NO_COLOR", "How wide tables are, and that nothing is coloured."),
        ],
    ),
    (
        "FILES",
        &[
            ("~/.config/albumctl/config.yaml", "Your configuration; `albumctl config show` tells all keys."),
            ("~/.cache/albumctl", "Results of earlier runs; may be deleted at any time."),
            ("~/.local/share/albumctl/models", "Models that were fetched or imported."),
            ("~/.local/share/albumctl/journal.sqlite", "Your decisions: the file to back up."),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "All done."),
            ("1", "Failed, no usable result."),
            ("2", "Usage or configuration."),
            ("3", "Done, but some photos failed."),
            ("130", "Interrupted; what was finished is kept and printed."),
        ],
    ),
];

pub fn run(
    args: &Args,
    mut root: clap::Command,
    examples: Examples,
    context: &Context,
) -> Result<Ending, CommandError> {
    root.build();
    if let Some(folder) = &args.dir {
        std::fs::create_dir_all(folder)
            .map_err(|error| CommandError::failed(anyhow::anyhow!("{}: {error}", folder.display())))?;
        return pages(&root, "", examples, folder).map(|()| Ending::AllDone);
    }
    let mut command = &root;
    for name in &args.command {
        let unknown = || CommandError::usage(anyhow::anyhow!("no command `{}`", args.command.join(" ")));
        command = command.find_subcommand(name).ok_or_else(unknown)?;
    }
    context.write_text(&page(command, &args.command.join(" "), examples)?)?;
    Ok(Ending::AllDone)
}

/// Writes the page of a command and of its subcommands.
fn pages(
    command: &clap::Command,
    words: &str,
    examples: Examples,
    folder: &std::path::Path,
) -> Result<(), CommandError> {
    let file = folder.join(format!("{}.1", command.get_display_name().unwrap_or("albumctl")));
    let text = page(command, words, examples)?;
    whole_file(&file, Content::Text, |out| Ok(out.write_all(text.as_bytes())?))?;
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        pages(below, format!("{words} {}", below.get_name()).trim_start(), examples, folder)?;
    }
    Ok(())
}

fn page(command: &clap::Command, words: &str, examples: Examples) -> std::io::Result<String> {
    let title = command.get_display_name().unwrap_or("albumctl").to_owned();
    let man = clap_mangen::Man::new(command.clone()).title(title);
    let mut roff = Vec::new();
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    man.render_options_section(&mut roff)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut roff)?;
    }
    let mut text = String::from_utf8_lossy(&roff).into_owned();
    let mut section = |heading: &str, entries: &[(&str, &str)]| {
        text.push_str(&format!(".SH \"{heading}\"\n"));
        for (term, says) in entries {
            text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", escaped(term), escaped(says)));
        }
    };
    let lines: Vec<(&str, &str)> = examples(words).iter().map(|(does, line)| (*line, *does)).collect();
    section("EXAMPLES", &lines);
    COMMON.iter().for_each(|(heading, entries)| section(heading, entries));
    Ok(text)
}

/// Escapes text for roff; escaped dashes can be copied from the page.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('-', "\\-")
}
