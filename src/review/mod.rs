//! The server of `review`, reachable only from this machine and only with its secret. It reads the photos of one album, and
//! passes decisions to the thread that owns the album.

mod http;
mod pictures;
mod server;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{self, Receiver, Sender};

use serde::Deserialize;

use crate::report::html;
use crate::report::records::DecisionWord;
use server::Site;

pub use http::{Request, Response};
pub use pictures::{Picture, Pictures};
pub use server::Server;

/// A request of the page to the album's thread.
#[derive(Debug, PartialEq, Eq)]
pub enum AlbumRequest {
    /// The whole album.
    Album,
    /// `None` withdraws a decision.
    Decide {
        photo: usize,
        decision: Option<DecisionWord>,
    },
    Undo,
    /// Two photos whose comparison would teach the most.
    Question,
    /// One of two photos is better than the other.
    Prefer {
        better: usize,
        worse: usize,
    },
    /// The review is over.
    Done,
}

/// A request with the channel for its answer: JSON, or the error.
#[derive(Debug)]
pub struct PendingRequest {
    pub request: AlbumRequest,
    pub reply: Sender<Result<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecideBody {
    photo: usize,
    decision: Option<DecisionWord>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreferBody {
    better: usize,
    worse: usize,
}

/// Serves the page, its pictures, and the answers of the album's thread.
#[derive(Debug)]
pub struct AlbumSite {
    pictures: Pictures,
    album: Mutex<Sender<PendingRequest>>,
}

impl AlbumSite {
    /// Creates the site and the receiver of its requests.
    pub fn new(pictures: Pictures) -> (Self, Receiver<PendingRequest>) {
        let (album, requests) = mpsc::channel();
        (Self { pictures, album: Mutex::new(album) }, requests)
    }

    fn ask(&self, request: AlbumRequest) -> Response {
        let (reply, answer) = mpsc::channel();
        let asked = self.album.lock().unwrap_or_else(PoisonError::into_inner).send(PendingRequest { request, reply });
        let answer = asked.ok().and_then(|()| answer.recv().ok());
        match answer {
            Some(Ok(json)) => Response::new("application/json", json),
            Some(Err(why)) => Response::refused(500, &why),
            None => Response::refused(503, "albumctl has ended"),
        }
    }
}

impl Site for AlbumSite {
    fn respond(&self, request: &Request, path: &str) -> Response {
        let found = match request.method.as_str() {
            "GET" => match path.split_once('/').unwrap_or((path, "")) {
                ("", "") => Ok(Response::new("text/html; charset=utf-8", html::served())),
                ("page.css", "") => Ok(Response::new("text/css; charset=utf-8", html::STYLE)),
                ("page.js", "") => Ok(Response::new("text/javascript; charset=utf-8", html::script())),
                ("album.json", "") => Ok(self.ask(AlbumRequest::Album)),
                ("question.json", "") => Ok(self.ask(AlbumRequest::Question)),
                ("thumbnail", photo) => self.pictures.thumbnail(photo),
                ("original", photo) => self.pictures.original(photo),
                _ => Err(Response::refused(404, "there is no such page")),
            },
            // A page of another origin needs a preflight to send JSON, which this server never grants.
            "POST" if !request.is_json => Err(Response::refused(415, "JSON is expected")),
            "POST" => match path {
                "decide" => match serde_json::from_slice::<DecideBody>(&request.body) {
                    Ok(DecideBody { photo, decision }) => Ok(self.ask(AlbumRequest::Decide { photo, decision })),
                    Err(error) => Err(Response::refused(400, &error.to_string())),
                },
                "prefer" => match serde_json::from_slice::<PreferBody>(&request.body) {
                    Ok(PreferBody { better, worse }) => Ok(self.ask(AlbumRequest::Prefer { better, worse })),
                    Err(error) => Err(Response::refused(400, &error.to_string())),
                },
                "undo" => Ok(self.ask(AlbumRequest::Undo)),
                DONE => Ok(Response::new("application/json", "{}")),
                _ => Err(Response::refused(404, "there is no such page")),
            },
            _ => Err(Response::refused(405, "only GET and POST are known here")),
        };
        found.unwrap_or_else(|refused| refused)
    }

    fn answered(&self, request: &Request, path: &str) {
        if request.method == "POST" && request.is_json && path == DONE {
            let _ = self.ask(AlbumRequest::Done);
        }
    }
}

const DONE: &str = "done";
