//! Replaces `stores` in builds without the feature `object-stores`: every URL is refused.

use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;

use super::error::ScaleError;

/// A type without values.
#[derive(Debug)]
pub enum Object {}

impl Object {
    pub fn open(address: &str) -> Result<Self, ScaleError> {
        refused(address)
    }

    pub fn size(&self) -> u64 {
        match *self {}
    }

    pub fn bytes(&self, _: u64, _: usize) -> io::Result<Bytes> {
        match *self {}
    }
}

#[derive(Debug)]
pub struct Listed {
    pub address: String,
    pub stamp: String,
}

pub fn list(folder: &str) -> Result<Vec<Listed>, ScaleError> {
    refused(folder)
}

pub fn matching(pattern: &str, _: &mut Vec<PathBuf>) -> Result<(), ScaleError> {
    refused(pattern)
}

pub fn get(address: &str, _: u64) -> Result<Result<Vec<u8>, u64>, ScaleError> {
    refused(address)
}

pub fn put(address: &str, _: impl Read + Send + 'static) -> Result<(), ScaleError> {
    refused(address)
}

pub fn delete(_: &str) {}

pub fn look(address: &str) -> Result<Option<Listed>, ScaleError> {
    refused(address)
}

fn refused<T>(address: &str) -> Result<T, ScaleError> {
    Err(ScaleError::ObjectStore { address: address.to_owned() })
}
