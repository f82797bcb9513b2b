//! The server of `review`, which only this machine reaches, and only with its secret. It reads the photos of one album;
//! decisions go to the one thread that owns the album.

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

pub use http::{Answer, Request};
pub use pictures::{Picture, Pictures};
pub use server::Server;

/// A request of the page to the album's thread.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
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
pub struct Asked {
    pub wish: Wish,
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

/// The site: the page, its pictures, and answers of the album's thread.
#[derive(Debug)]
pub struct Table {
    pictures: Pictures,
    album: Mutex<Sender<Asked>>,
}

impl Table {
    /// Makes the site and the receiver of its requests.
    pub fn new(pictures: Pictures) -> (Self, Receiver<Asked>) {
        let (album, wishes) = mpsc::channel();
        (Self { pictures, album: Mutex::new(album) }, wishes)
    }

    fn ask(&self, wish: Wish) -> Answer {
        let (reply, answer) = mpsc::channel();
        let asked = self.album.lock().unwrap_or_else(PoisonError::into_inner).send(Asked { wish, reply });
        let answer = asked.ok().and_then(|()| answer.recv().ok());
        match answer {
            Some(Ok(json)) => Answer::new("application/json", json),
            Some(Err(why)) => Answer::refused(500, &why),
            None => Answer::refused(503, "albumctl has ended"),
        }
    }
}

impl Site for Table {
    fn answer(&self, request: &Request, path: &str) -> Answer {
        let found = match request.method.as_str() {
            "GET" => match path.split_once('/').unwrap_or((path, "")) {
                ("", "") => Ok(Answer::new("text/html; charset=utf-8", html::served())),
                ("page.css", "") => Ok(Answer::new("text/css; charset=utf-8", html::STYLE)),
                ("page.js", "") => Ok(Answer::new("text/javascript; charset=utf-8", html::script())),
                ("album.json", "") => Ok(self.ask(Wish::Album)),
                ("question.json", "") => Ok(self.ask(Wish::Question)),
                ("thumbnail", photo) => self.pictures.thumbnail(photo),
                ("original", photo) => self.pictures.original(photo),
                _ => Err(Answer::refused(404, "there is no such page")),
            },
            // A page of another origin needs a preflight to send JSON, which this server never grants.
            "POST" if !request.is_json => Err(Answer::refused(415, "JSON is expected")),
            "POST" => match path {
                "decide" => match serde_json::from_slice::<DecideBody>(&request.body) {
                    Ok(DecideBody { photo, decision }) => Ok(self.ask(Wish::Decide { photo, decision })),
                    Err(error) => Err(Answer::refused(400, &error.to_string())),
                },
                "prefer" => match serde_json::from_slice::<PreferBody>(&request.body) {
                    Ok(PreferBody { better, worse }) => Ok(self.ask(Wish::Prefer { better, worse })),
                    Err(error) => Err(Answer::refused(400, &error.to_string())),
                },
                "undo" => Ok(self.ask(Wish::Undo)),
                DONE => Ok(Answer::new("application/json", "{}")),
                _ => Err(Answer::refused(404, "there is no such page")),
            },
            _ => Err(Answer::refused(405, "only GET and POST are known here")),
        };
        found.unwrap_or_else(|refused| refused)
    }

    fn answered(&self, request: &Request, path: &str) {
        if request.method == "POST" && request.is_json && path == DONE {
            let _ = self.ask(Wish::Done);
        }
    }
}

const DONE: &str = "done";
