//! Addresses of object stores, `s3://bucket/folder` and the like: where they will do and where not.

use std::path::Path;

use crate::context::Context;
use crate::error::CommandError;
use scale::is_remote;

pub fn refuse_offline<P: AsRef<Path>>(paths: &[P], context: &Context) -> Result<(), CommandError> {
    let remote = paths.iter().map(AsRef::as_ref).find(|path| is_remote(path));
    match remote.filter(|_| context.offline) {
        None => Ok(()),
        Some(address) => {
            let address = address.display();
            Err(CommandError::usage(anyhow::anyhow!("{address} lies on the network, and --offline forbids it")))
        }
    }
}

/// Lines are written as they come, to files that are renamed in the end; a store knows neither.
pub fn lines_stay_here(context: &Context) -> Result<(), CommandError> {
    here_only(context.output_file(), "what is printed", "write a file here and copy it")
}

/// Refuses an address where only a path of this machine will do.
pub fn here_only(path: Option<&Path>, what: &str, way_out: &str) -> Result<(), CommandError> {
    match path.filter(|path| is_remote(path)) {
        None => Ok(()),
        Some(address) => {
            let refused =
                anyhow::anyhow!("{}: {what} must lie on this machine, not in an object store", address.display());
            Err(CommandError::usage(refused).hint(way_out))
        }
    }
}
