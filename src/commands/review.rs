//! `albumctl review`: the album in a browser, for comparing and deciding.

mod choosing;
mod session;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;

use super::album::{Budget, EmbeddingsRead, Gathered, GroupArgs};
use super::coverage;
use super::open_models::Networks;
use super::people::PeopleNeed;
use super::photos;
use super::select::{self, ChoiceArgs};
use crate::arguments::PhotoArgs;
use crate::context::Context;
use crate::error::{CommandError, Ending};
use crate::photo_report::PhotoReport;
use crate::report::html::served_budget;
use crate::report::records::SelectRecord;
use crate::review::{AlbumRequest, AlbumSite, PendingRequest, Picture, Pictures, Server};
use photo::companions::Companions;
use session::Session;

/// Review the photos in a browser: compare them and decide; each decision counts at once
///
/// A page on this machine shows the picks, then every scene. K keeps the current photo, X rejects it, B prefers one of
/// two, Q asks which of two is better, U undoes, and the album is chosen again each time. Only the journal is written:
/// decisions, as by `albumctl decide`, and comparisons. The address of the page contains a secret, and only this machine
/// can reach it. Done or Ctrl-C ends the review and prints the album as `albumctl select` does.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub photos: PhotoArgs,

    /// Read the output of `albumctl analyze` instead of analysing photos; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    pub from: Option<PathBuf>,

    #[command(flatten)]
    pub choice: ChoiceArgs,

    #[command(flatten)]
    pub groups: GroupArgs,

    /// At the end, print every photo, with the reason why it was not picked
    #[arg(long)]
    pub all: bool,

    /// Open no browser, only print the address
    #[arg(long)]
    pub no_open: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    args.groups.check(context)?;
    args.choice.check(context)?;
    // Opened before the photos are analysed, so that an unwritable journal is reported without waiting for them.
    let journal = context.journal()?;
    let networks = Networks::configured(context)?;
    let thumbnails = Some(served_budget as Budget);
    let mut gathered = if let Some(file) = &args.from {
        Gathered::from_file(file, thumbnails, &networks, context)?
    } else {
        let scan = photos::find(&args.photos, context)?;
        let people = match args.choice.coverage.people_need() {
            PeopleNeed::None => PeopleNeed::IfHere,
            need => need,
        };
        Gathered::from_photos(
            &scan,
            args.choice.sought(people, EmbeddingsRead::AtOnce),
            thumbnails,
            &networks,
            context,
        )?
    };
    photos::unless_interrupted(context)?;
    if gathered.reports.is_empty() {
        gathered.tally.close(context.output::<SelectRecord>()?, context)?;
        return Ok(gathered.tally.end("review", context));
    }
    let groups = gathered.groups(&args.groups.settings(context), &networks.hub, context)?;
    let Gathered { mut reports, mut tally, models, .. } = gathered;
    args.choice.sequences.mark(&mut reports);
    let pictures = pictures(&mut reports, context);
    let rules = args.choice.rules_for(&reports, context)?;
    let album = choosing::ReviewedAlbum { reports: &reports, groups: &groups, models: &models, rules: &rules };
    let mut session = Session::begin(album, &args.choice, journal, &networks, &mut tally, context)?;
    let (site, requests) = AlbumSite::new(pictures);
    let server = Server::open().context("cannot listen on 127.0.0.1")?;
    context.ui.tell(&server.address());
    if !args.no_open {
        let address = server.address_for_once().context("cannot make the secret of the address")?;
        if !open_in_browser(&address) {
            context.ui.note("no browser could be started: open the address yourself");
        }
    }
    server.serve(Arc::new(site)).context("cannot start a thread for the page")?;
    serve(&requests, &mut session, context)?;
    let (photos, verdicts) = session.end();
    select::note_kept_beyond_top(&photos, &verdicts, &rules, context);
    coverage::note_lacking(&photos, &verdicts, &rules, context);
    select::log_selection(&photos, &verdicts, context);
    let (mut output, mut companions) = (context.output::<SelectRecord>()?, Companions::default());
    for verdict in verdicts.iter().filter(|verdict| args.all || verdict.selected()) {
        let report = &reports[verdict.photo];
        output.write(&context.ui, &SelectRecord::new(&photos, verdict, report, &mut companions))?;
    }
    output.finish(&context.ui)?;
    let picks = verdicts.iter().filter(|verdict| verdict.selected()).count();
    let summary = format!("picked {picks} of {}{}", photos::counted(photos.len(), "photo"), select::how(&rules));
    Ok(tally.end_with(&summary, context.output_file().is_some(), "review", context))
}

/// Answers requests until the page is done or the run is interrupted.
fn serve(
    requests: &Receiver<PendingRequest>,
    session: &mut Session<'_>,
    context: &Context,
) -> Result<(), CommandError> {
    while !context.stopped() {
        let PendingRequest { request, reply } = match requests.recv_timeout(Duration::from_millis(100)) {
            Ok(asked) => asked,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let answer = match request {
            AlbumRequest::Album => session.page(),
            AlbumRequest::Decide { photo, decision } => session.decide(photo, decision.map(Into::into)),
            AlbumRequest::Undo => session.undo(),
            AlbumRequest::Question => session.question(),
            AlbumRequest::Prefer { better, worse } => session.prefer(better, worse),
            AlbumRequest::Done => break,
        };
        let answer = answer.map_err(|error| {
            context.ui.warn(&error.headline());
            error.headline()
        });
        // A browser that has gone meanwhile gets no answer.
        let _ = reply.send(answer);
    }
    session.settle()
}

/// Moves the thumbnails to the server; the album does not need them.
fn pictures(reports: &mut [PhotoReport], context: &Context) -> Pictures {
    let picture = |report: &mut PhotoReport| Picture {
        path: report.path.clone(),
        id: report.id(),
        thumbnail: report.thumbnail.take(),
    };
    Pictures::new(reports.iter_mut().map(picture).collect(), context.limits())
}

fn open_in_browser(address: &str) -> bool {
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        let mut command = Command::new("rundll32");
        command.arg("url.dll,FileProtocolHandler");
        command
    } else {
        Command::new("xdg-open")
    };
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
