//! Checks on URLs of object stores, such as `s3://bucket/folder`, in arguments.

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

/// Refuses a URL for lines of output: they are appended to a file that is renamed at the end, which an object store cannot
/// do.
pub fn lines_stay_here(context: &Context) -> Result<(), CommandError> {
    here_only(context.output_file(), "what is printed", "write a file here and copy it")
}

/// Refuses a URL where only a local path is possible.
pub fn here_only(path: Option<&Path>, what: &str, hint: &str) -> Result<(), CommandError> {
    match path.filter(|path| is_remote(path)) {
        None => Ok(()),
        Some(address) => {
            let refused =
                anyhow::anyhow!("{}: {what} must lie on this machine, not in an object store", address.display());
            Err(CommandError::usage(refused).hint(hint))
        }
    }
}
