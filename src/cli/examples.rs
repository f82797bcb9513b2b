//! The examples of each command, shown by `--help` and the manual. A test parses each of them.

use clap::Command;

/// For each command, its examples: what they do, and the command line.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "",
        &[
            ("the ten photos that belong in the album, and why", "albumctl select ~/Photos --top 10"),
            ("the same, copied into a folder, with a page to look at", TO_FOLDER),
            ("what is wrong with one photo", "albumctl score --degradations IMG_0001.JPG"),
            ("all that faces need, once", "albumctl models pull faces"),
        ],
    ),
    (
        "score",
        &[
            ("a table of all photos", "albumctl score ~/Photos --format table"),
            ("photos of a list, as CSV", "albumctl score - --format csv"),
        ],
    ),
    (
        "portrait",
        &[
            ("fetch the models first, about 3.4 MB", "albumctl portrait ~/Photos --pull"),
            ("copies with faces, eyes and mouths drawn in", "albumctl portrait ~/Photos --annotate drawn"),
        ],
    ),
    ("aesthetics", &[("ratings from 1 to 10", "albumctl aesthetics ~/Photos --format table")]),
    (
        "embed",
        &[
            ("a table of vectors for `kmeans` and `dedup`", "albumctl embed ~/Photos -o features.parquet"),
            ("by another model", "albumctl embed ~/Photos --model dinov2-s --pull -o features.npy"),
        ],
    ),
    (
        "compare",
        &[
            ("which of two is better", "albumctl compare IMG_0001.JPG IMG_0002.JPG"),
            ("a ranking of several", "albumctl compare IMG_0001.JPG IMG_0002.JPG IMG_0003.JPG --format table"),
        ],
    ),
    (
        "classify",
        &[
            ("what is on photos, by a model of 19 MB", "albumctl classify ~/Photos --pull --format table"),
            (
                "photographs, screenshots, documents, …",
                "albumctl classify ~/Downloads --model album-mini --format table",
            ),
        ],
    ),
    (
        "detect",
        &[
            ("what is where on photos, by a model of 70 MB", "albumctl detect ~/Photos --pull --format table"),
            (
                "what is surely there, with boxes drawn into copies",
                "albumctl detect ~/Photos --min-score 0.7 --annotate drawn",
            ),
        ],
    ),
    (
        "ocr",
        &[
            ("the text of a receipt, by a model of 31 MB", "albumctl ocr --text receipt.jpg --pull"),
            ("lines of text with their places, for scripts", "albumctl ocr ~/Screenshots --format jsonl"),
            ("scans in German and French", "albumctl ocr ~/Scans --languages deu+fra --text"),
        ],
    ),
    (
        "cluster",
        &[
            ("groups of the same scene", "albumctl cluster ~/Photos --format table"),
            ("bursts alone", "albumctl cluster ~/Photos --method burst"),
        ],
    ),
    (
        "select",
        &[
            ("the best photo of every scene", "albumctl select ~/Photos"),
            ("the ten best", "albumctl select ~/Photos --top 10"),
            ("the same, copied into a folder, with a page to look at", TO_FOLDER),
            ("only what is about something", "albumctl select ~/Photos --top 10 --about 'dog, cat' --not food"),
            ("what would be copied", "albumctl select ~/Photos --top 10 --copy-to ~/Album --dry-run"),
            ("every hour, what is new", "albumctl select ~/Photos --since last-run --link-to ~/Album -q"),
        ],
    ),
    (
        "search",
        &[
            ("photos of dogs on beaches, by a model of 19 MB", "albumctl search 'dog on the beach' ~/Photos --pull"),
            ("receipts and invoices of a shop", "albumctl search 'receipt \"corner shop\"' ~/Photos --format table"),
            ("without looking at the photos again", "albumctl search --from analysis.jsonl birds --top 20"),
        ],
    ),
    ("analyze", &[("everything once, to select from again and again", "albumctl analyze ~/Photos -o analysis.jsonl")]),
    (
        "people",
        &[
            ("bring the models, once", "albumctl models pull people"),
            ("who is on these photos", "albumctl people ~/Photos --format table"),
            ("call somebody by a name", "albumctl people name p3 Anna"),
        ],
    ),
    ("people list", &[("everyone who is known", "albumctl people list --format table")]),
    ("people name", &[("call somebody by a name", "albumctl people name p3 Anna")]),
    ("people merge", &[("two who are one", "albumctl people merge Anna p7")]),
    ("people split", &[("somebody else on this photo", "albumctl people split Anna IMG_0001.JPG")]),
    ("people forget", &[("leave nothing", "albumctl people forget --all")]),
    ("decide keep", &[("always pick these photos", "albumctl decide keep IMG_0001.JPG IMG_0002.JPG")]),
    ("decide reject", &[("never pick what is in this folder", "albumctl decide reject ~/Photos/blurred")]),
    ("decide clear", &[("take back what was decided", "albumctl decide clear IMG_0001.JPG")]),
    (
        "decide",
        &[
            ("always pick this photo", "albumctl decide keep IMG_0001.JPG"),
            ("what the page of a report saved", "albumctl decide --from decisions.jsonl"),
        ],
    ),
    ("decide log", &[("all that was ever said", "albumctl decide log --format table")]),
    ("decide list", &[("all decisions in force", "albumctl decide list --format table")]),
    (
        "review",
        &[
            ("look, compare, decide; then the ten photos", "albumctl review ~/Photos --top 10"),
            ("without looking at the photos again", "albumctl review --from analysis.jsonl"),
        ],
    ),
    ("taste", &[("what was learned from your decisions", "albumctl taste show --format table")]),
    ("taste show", &[("what it adds to scores", "albumctl taste show --format table")]),
    ("taste reset", &[("begin anew; decisions stay", "albumctl taste reset")]),
    ("taste export", &[("for another machine", "albumctl taste export -o taste.jsonl")]),
    ("taste import", &[("from another machine", "albumctl taste import taste.jsonl")]),
    ("models", &[("what there is, and what of it is here", "albumctl models list")]),
    ("models list", &[("models for faces", "albumctl models list --task face")]),
    ("models info", &[("files, hashes, licence, figures", "albumctl models info dinov2-s")]),
    (
        "models pull",
        &[
            ("all that faces need", "albumctl models pull faces"),
            (
                "one model, unless its licence forbids commerce",
                "albumctl models pull dinov2-s --license-policy permissive",
            ),
        ],
    ),
    ("models verify", &[("read every model file through", "albumctl models verify --all")]),
    (
        "models import",
        &[("files brought from elsewhere", "albumctl models import ~/Downloads/dinov2_vits14_pretrain.pth")],
    ),
    ("models add", &[("a model of one's own, by its manifest", "albumctl models add mine.yaml")]),
    ("models rm", &[("free the room that a model takes", "albumctl models rm dinov2-s")]),
    ("models gc", &[("what could go", "albumctl models gc --dry-run")]),
    ("models path", &[("where the files lie", "albumctl models path dinov2-s")]),
    ("kmeans fit", &[("a thousand clusters of features", "albumctl kmeans fit --data features.parquet -k 1000")]),
    (
        "kmeans assign",
        &[("the cluster of every row", "albumctl kmeans assign --data features.parquet -o labels.parquet")],
    ),
    ("kmeans info", &[("what a model holds", "albumctl kmeans info kmeans.safetensors")]),
    (
        "dedup",
        &[
            ("photos that look the same", "albumctl dedup --method phash ~/Photos --format table"),
            ("photos that show the same", "albumctl dedup --data features.parquet"),
        ],
    ),
    ("node", &[("deal out tasks on this machine", "albumctl node scheduler")]),
    ("node scheduler", &[("for this machine alone", "albumctl node scheduler --bind 127.0.0.1:50050")]),
    ("node executor", &[("two tasks at a time", "albumctl node executor --scheduler 127.0.0.1:50050 -j 2")]),
    ("train mini", &[("the built-in network", "albumctl train mini --data labelled --run runs/mini")]),
    ("train aesthetics", &[("from scores", "albumctl train aesthetics scores.csv --photos photos --run runs/mine")]),
    ("train siamese", &[("from choices", "albumctl train siamese pairs.csv --photos photos --run runs/pairs")]),
    ("train quality", &[("from clean photos", "albumctl train quality clean-photos --run runs/flaws")]),
    ("train classifier", &[("classes from folders", "albumctl train classifier folders --run runs/classes")]),
    ("eval scores", &[("ratings beside given scores", "albumctl eval scores scores.csv --photos photos")]),
    ("eval bursts", &[("the order of takes", "albumctl eval bursts bursts.csv --photos photos --format table")]),
    ("eval groups", &[("groups beside given ones", "albumctl eval groups groups.csv --photos photos")]),
    ("eval degradations", &[("photos against degraded copies", "albumctl eval degradations clean-photos")]),
    ("eval selection", &[("what `select` picks", "albumctl eval selection truth.csv --photos photos")]),
    ("eval taste", &[("what is learned from simulated people", "albumctl eval taste ~/Photos --format table")]),
    ("device", &[("what networks run on", "albumctl device")]),
    ("config", &[("what is in force, and who said so", "albumctl config show")]),
    ("config show", &[("with a key that is tried", "albumctl config show --set album.selection.ava_weight=0.6")]),
    ("schema", &[("of the lines of one command", "albumctl schema select")]),
    (
        "completions",
        &[("for bash", "albumctl completions bash -o ~/.local/share/bash-completion/completions/albumctl")],
    ),
    (
        "man",
        &[
            ("the page of one command, to be shown by `man -l -`", "albumctl man select"),
            ("all pages, into a folder", "albumctl man --dir ~/.local/share/man/man1"),
        ],
    ),
];

const TO_FOLDER: &str = "albumctl select ~/Photos --top 10 --copy-to ~/Album --report album.html";

/// The examples of a command, named in full (`models pull`). A command with subcommands and without own examples has those
/// of its first subcommand.
pub fn of(command: &str) -> &'static [(&'static str, &'static str)] {
    let is_of = |path: &str| path.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    EXAMPLES.iter().find(|(path, _)| is_of(path)).map_or(&[], |(_, examples)| examples)
}

/// Adds the examples to the help of a command and of its subcommands.
pub fn added(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command = names.into_iter().fold(command, |command, name| {
        let below = format!("{path} {name}");
        command.mut_subcommand(name, |command| added(command, below.trim_start()))
    });
    let mut text = String::from("Examples:\n");
    for (does, line) in of(path) {
        text.push_str(&format!("  {does}:\n      {line}\n"));
    }
    if let Some(more) = command.get_after_help() {
        text.push_str(&format!("\n{more}"));
    }
    command.after_help(text.trim_end().to_owned())
}
