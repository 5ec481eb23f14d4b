//! What a container says, from its beginning, as it says it.

use hyper::body::Bytes;
use reqwest::{Method, Response};

use super::{Engine, LIFE_TIMEOUT, segment};
use crate::base::{Error, Result};
use crate::proto::frames::{Frames, Output};

/// The output of a container. What nobody takes waits in the engine.
pub struct Logs {
    response: Response,
    frames: Frames,
}

impl Logs {
    /// The next of it, in its order; none when the container ended and all was told. `Unavailable` when it breaks off.
    pub async fn next(&mut self) -> Result<Option<Vec<(Output, Bytes)>>> {
        let broken_off = |e| Error::unavailable("the output of a container breaks off").because(e);
        let Some(part) = self.response.chunk().await.map_err(broken_off)? else { return Ok(None) };
        let mut said = Vec::new();
        self.frames.read(&part, |output, bytes| said.push((output, part.slice_ref(bytes))))?;
        Ok(Some(said))
    }
}

impl Engine {
    /// Follows what a container says, and said since it began.
    pub async fn logs(&self, container: &str) -> Result<Logs> {
        self.read_logs(container, true).await
    }

    /// What a container said until now. podman 4.3 ends what follows one as soon as that has ended, with its last words
    /// still unread: they are in here.
    pub async fn logs_so_far(&self, container: &str) -> Result<Logs> {
        self.read_logs(container, false).await
    }

    async fn read_logs(&self, container: &str, follow: bool) -> Result<Logs> {
        let path = format!("/containers/{}/logs?follow={follow}&stdout=true&stderr=true", segment(container));
        let response = self.open(Method::GET, &path, None, LIFE_TIMEOUT).await?;
        Ok(Logs { response, frames: Frames::default() })
    }
}
