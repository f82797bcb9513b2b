//! The engine of distributed commands: this machine, or a cluster. Every build has its options, so that a build without
//! the feature can say what is missing.

use std::str::FromStr;

use super::trust::{AuthorityArgs, TokenArgs};
use crate::context::Context;
use crate::error::CommandError;
use scale::dedup::DedupEngine;
#[cfg(feature = "distributed")]
use scale::distributed::{client, engine, trust::Trust};
use scale::{ScaleError, Source};

const SCHEME: &str = "ballista://";

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where the work is done")]
pub struct EngineArgs {
    /// local: the threads of this machine; ballista://HOST:PORT: the cluster of that scheduler
    #[arg(long, value_name = "ENGINE", default_value = "local")]
    pub engine: Engine,

    /// On a cluster: restart tasks that made no progress for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub deadline: u64,

    #[command(flatten)]
    token: TokenArgs,

    #[command(flatten)]
    authority: AuthorityArgs,
}

/// How passes over rows are handed to a cluster.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where the work is done")]
pub struct PassArgs {
    /// On a cluster: a folder or s3:// URL that every machine sees, for exchanging centroids; by default --work
    #[arg(long, value_name = "DIR|URL")]
    pub share: Option<String>,

    /// On a cluster: rows per task; small tasks spread better and lose less if a machine fails, large ones transfer fewer
    /// sums
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub task_rows: Option<u64>,
}

/// A cluster that this run may use.
#[derive(Debug)]
#[cfg_attr(not(feature = "distributed"), allow(dead_code, reason = "a build without the feature has none"))]
pub struct Cluster<'a> {
    args: &'a EngineArgs,
    /// `HOST:PORT` of its scheduler.
    pub address: &'a str,
    #[cfg(feature = "distributed")]
    trust: Trust,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    Local,
    /// `HOST:PORT` of a scheduler.
    Cluster(String),
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "local" {
            return Ok(Self::Local);
        }
        let address = text.strip_prefix(SCHEME).ok_or("local, or ballista://HOST:PORT")?.trim_end_matches('/');
        host_and_port(address).map(|_| Self::Cluster(address.to_owned()))
    }
}

/// Splits `HOST:PORT`.
pub fn host_and_port(address: &str) -> Result<(String, u16), String> {
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let port = parts.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    port.ok_or_else(|| format!("`{address}` is no HOST:PORT, such as 10.0.0.1:50050"))
}

impl EngineArgs {
    pub fn is_local(&self) -> bool {
        self.engine == Engine::Local
    }

    /// Returns the cluster, if one was named; an error if this run is offline or this build lacks the feature.
    pub fn cluster(&self, context: &Context) -> Result<Option<Cluster<'_>>, CommandError> {
        let Engine::Cluster(address) = &self.engine else { return Ok(None) };
        if cfg!(not(feature = "distributed")) {
            return Err(feature_missing(&format!("--engine {SCHEME}{address}")));
        }
        if context.offline {
            let refused = anyhow::anyhow!("--engine {SCHEME}{address} needs the network, and --offline forbids it");
            return Err(CommandError::usage(refused));
        }
        #[cfg(feature = "distributed")]
        let trust = {
            let (host, _) = host_and_port(address).map_err(|cause| CommandError::usage(anyhow::anyhow!(cause)))?;
            super::trust::trust(&[("--engine", &host)], &self.token, Some(&self.authority), None, context)?
        };
        Ok(Some(Cluster {
            args: self,
            address,
            #[cfg(feature = "distributed")]
            trust,
        }))
    }
}

impl Cluster<'_> {
    #[cfg(feature = "distributed")]
    pub fn options(&self, share: String, task_rows: Option<u64>) -> client::Options {
        client::Options {
            address: self.address.to_owned(),
            share,
            deadline: std::time::Duration::from_secs(self.args.deadline),
            attempts: 3,
            task_rows,
            trust: self.trust.clone(),
        }
    }

    /// Does `work` with this cluster as the engine of passes over `source`, which go through the folder `share`.
    #[cfg(feature = "distributed")]
    pub fn run<T>(
        &self,
        (source, normalize): (&Source, bool),
        (share, task_rows): (String, Option<u64>),
        context: &Context,
        work: impl FnOnce(&dyn DedupEngine) -> Result<T, ScaleError>,
    ) -> Result<T, ScaleError> {
        let options = self.options(share, task_rows);
        let warn = |message: &str| context.ui.warn(message);
        let client = client::Client::connect(&options, context.stop(), &warn)?;
        work(&engine::Cluster::new(source, normalize, context.threads(), client)?)
    }

    #[cfg(not(feature = "distributed"))]
    pub fn run<T>(
        &self,
        _: (&Source, bool),
        _: (String, Option<u64>),
        _: &Context,
        _: impl FnOnce(&dyn DedupEngine) -> Result<T, ScaleError>,
    ) -> Result<T, ScaleError> {
        Err(ScaleError::Engine { cause: feature_missing(self.address).to_string() })
    }
}

/// The error for something that needs the feature `distributed`, in a build without it.
#[cfg_attr(feature = "distributed", allow(dead_code, reason = "only builds without the feature lack it"))]
pub fn feature_missing(what: &str) -> CommandError {
    let cause = anyhow::anyhow!("{what}: this build lacks the feature `distributed`");
    CommandError::usage(cause).hint("cargo install --path . --locked --features distributed")
}
