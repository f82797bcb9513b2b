//! `albumctl node`: runs this machine as part of a cluster.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::engine;
use super::trust::{AuthorityArgs, CertificateArgs, TokenArgs};
use crate::context::Context;
use crate::error::{CommandError, Ending};

#[cfg(feature = "distributed")]
mod embedding;
#[cfg(feature = "distributed")]
use {super::trust, scale::distributed::shares::Shares, std::sync::Arc};

/// Run this machine as part of a cluster
///
/// A cluster has one scheduler, and an executor on every worker machine; then use `kmeans fit --engine ballista://HOST:PORT`
/// and `embed --engine …` on any machine. Data and work folders must be on storage that all machines see under the same
/// path, or in a bucket. Nodes only run tasks of albumctl, on files in the shares of an executor (--share). On addresses
/// that other machines can reach they require a token over TLS: --token-file, --tls-cert, --tls-key and, for callers,
/// --tls-ca; or explicitly --insecure. After SIGTERM a node takes no more tasks and ends when its own are done.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Scheduler(SchedulerArgs),
    Executor(ExecutorArgs),
}

/// Distributes tasks
#[derive(Debug, clap::Args)]
struct SchedulerArgs {
    /// Address to listen on; 0.0.0.0:50050 for all networks of this machine, port 0 for a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 50050)))]
    bind: SocketAddr,

    /// Give up an executor after this much silence, and reassign its tasks
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(8..))]
    executor_timeout: u64,

    #[command(flatten, next_help_heading = TRUST)]
    token: TokenArgs,

    #[command(flatten, next_help_heading = TRUST)]
    certificate: CertificateArgs,
}

/// Runs tasks, --threads at a time
#[derive(Debug, clap::Args)]
struct ExecutorArgs {
    /// The scheduler to work for
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50050", value_parser = engine::host_and_port)]
    scheduler: (String, u16),

    /// Address to listen on for those who fetch results; 0.0.0.0 for all networks of this machine
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,

    /// Its port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 50051)]
    port: u16,

    /// The name or address of this machine for others; by default the address it connects from
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// Folder in which results wait until they are fetched, in a subfolder; by default the temporary folder
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,

    /// How long to wait for a scheduler that is not up yet
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u16,

    /// Folder or URL in which tasks may read and write (repeatable): photos, features, models named by path, and the targets
    /// of `embed -o` and `kmeans fit --work` or --share. Without shares, and if no other machine can reach this one,
    /// everywhere
    #[arg(long, value_name = "DIR|URL")]
    share: Vec<String>,

    #[command(flatten, next_help_heading = TRUST)]
    token: TokenArgs,

    #[command(flatten, next_help_heading = TRUST)]
    certificate: CertificateArgs,

    #[command(flatten, next_help_heading = TRUST)]
    authority: AuthorityArgs,
}

const TRUST: &str = "Who takes part";

#[cfg(not(feature = "distributed"))]
pub fn run(args: &Args, _: &Context) -> Result<Ending, CommandError> {
    let _ = &args.command;
    Err(engine::feature_missing("node"))
}

#[cfg(feature = "distributed")]
pub fn run(args: &Args, context: &Context) -> Result<Ending, CommandError> {
    if context.offline {
        return Err(CommandError::usage(anyhow::anyhow!("a node is all network, and --offline forbids it")));
    }
    context.ui.show_all_logs();
    match &args.command {
        Command::Scheduler(args) => scheduler(args, context),
        Command::Executor(args) => executor(args, context),
    }
}

#[cfg(feature = "distributed")]
fn scheduler(args: &SchedulerArgs, context: &Context) -> Result<Ending, CommandError> {
    use scale::distributed::scheduler;
    let host = args.bind.ip().to_string();
    let trust = trust::trust(&[("--bind", &host)], &args.token, None, Some(&args.certificate), context)?;
    let options = scheduler::Options { bind: args.bind, executor_timeout: args.executor_timeout, trust };
    scheduler::run(&options, context.stop(), |address| {
        context.ui.note(&format!("the scheduler listens on {address}"));
    })
    .map_err(|cause| CommandError::failed(anyhow::anyhow!("the scheduler: {cause}")))?;
    context.ui.note("the scheduler ended");
    Ok(Ending::AllDone)
}

#[cfg(feature = "distributed")]
fn executor(args: &ExecutorArgs, context: &Context) -> Result<Ending, CommandError> {
    use scale::distributed::executor::{self, Event};
    use scale::distributed::stored;
    let bind = args.bind.to_string();
    let mut reached = vec![("--bind", bind.as_str()), ("--scheduler", args.scheduler.0.as_str())];
    reached.extend(args.host.as_deref().map(|host| ("--host", host)));
    let trust = trust::trust(&reached, &args.token, Some(&args.authority), Some(&args.certificate), context)?;
    let shares = Arc::new(shares(args, reached.iter().all(|(_, host)| trust::is_loopback(host)))?);
    let folder = args.work.clone().unwrap_or_else(std::env::temp_dir);
    let work = std::fs::create_dir_all(&folder)
        .and_then(|()| tempfile::Builder::new().prefix("albumctl-executor-").tempdir_in(&folder))
        .map_err(|error| CommandError::failed(anyhow::anyhow!("{}: {error}", folder.display())))?;
    let options = executor::Options {
        scheduler: args.scheduler.clone(),
        bind: SocketAddr::new(args.bind, args.port),
        host: args.host.clone(),
        tasks: context.threads().max(1),
        work: work.path().to_owned(),
        patience: args.wait,
        trust,
        shares: Arc::clone(&shares),
    };
    let (host, port) = &args.scheduler;
    embedding::with_embedders(context, &shares, |embed| {
        executor::run(&options, embed, context.stop(), |event| {
            let tasks = options.tasks;
            context.ui.note(&match event {
                Event::Ready(own) => {
                    format!("the executor works for {host}:{port}, {tasks} tasks at a time, on port {own}")
                }
                Event::Ending(running) => {
                    format!("the executor takes no more tasks, and ends with those it has: {running}")
                }
            });
        })
    })
    .map_err(|cause| {
        let away = cause.contains("cannot reach the scheduler");
        let error = CommandError::failed(anyhow::anyhow!("the executor: {cause}"));
        if away {
            error.hint(format!("is there a scheduler? albumctl node scheduler --bind {host}:{port}"))
        } else {
            error
        }
    })?;
    let (rows, passes) = stored::looked_at();
    context.ui.note(&format!("the executor ended; it looked at {rows} rows in {passes} passes"));
    Ok(Ending::AllDone)
}

/// The folders and URLs that tasks may read and write. `alone` means that no other machine can reach this one.
#[cfg(feature = "distributed")]
fn shares(args: &ExecutorArgs, alone: bool) -> Result<Shares, CommandError> {
    if args.share.is_empty() && alone {
        return Ok(Shares::anywhere());
    }
    if args.share.is_empty() {
        let open = anyhow::anyhow!("an executor that works for other machines needs --share DIR|URL");
        return Err(CommandError::usage(open).hint("--share /shared, or --share s3://bucket; several may be named"));
    }
    Shares::new(args.share.iter().map(String::as_str)).map_err(|cause| CommandError::usage(anyhow::anyhow!(cause)))
}
