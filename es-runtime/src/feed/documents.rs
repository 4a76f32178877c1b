//! What the events look like: schemas and the AsyncAPI document, if the service says.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::headers::{self, FOREVER, Keep, link, tagged};
use super::problem::Problem;
use super::{Names, Served, Shared, names};
use crate::error::{Error, Kind, Result};
use crate::store::{EventStore, KeptSchema, Store, StreamVersion};

/// Documents by where they are. A schema's address names what is in it: it never changes.
#[derive(Debug, Default)]
pub(super) struct Documents {
    asyncapi: Option<Document>,
    schemas: BTreeMap<(String, String), Document>,
    of: BTreeMap<StreamVersion, Links>,
    mistake: Option<Error>,
}

#[derive(Debug)]
#[cfg_attr(not(feature = "schema"), allow(dead_code))]
struct Document {
    /// Whose it is; nothing for one of all streams.
    stream: Option<StreamVersion>,
    tag: String,
    text: Bytes,
}

/// Where a stream version's schemas are.
#[derive(Debug, Default)]
#[cfg_attr(not(feature = "schema"), allow(dead_code))]
struct Links {
    stream: String,
    /// By the public type.
    events: BTreeMap<String, String>,
}

/// As the catalogue tells it.
#[derive(Serialize)]
pub(super) struct Schemas<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schemas: Option<&'a BTreeMap<String, String>>,
}

const ASYNCAPI: &str = "/asyncapi.json";

impl Documents {
    /// The schemas of a stream version's events.
    pub(super) fn of(&self, stream: &StreamVersion) -> Schemas<'_> {
        let links = self.of.get(stream);
        Schemas {
            schema: links.map(|links| links.stream.as_str()),
            schemas: links.map(|links| &links.events),
        }
    }

    /// Fails unless what is described is what is served.
    pub(super) fn describe(&mut self, streams: &BTreeMap<StreamVersion, Served>) -> Result<()> {
        if let Some(mistake) = self.mistake.take() {
            return Err(mistake);
        }
        if self.asyncapi.is_none() {
            return Ok(());
        }
        for (stream, Served { types, .. }) in streams {
            let links = self.of.get(stream);
            let known = |of: &String| links.is_some_and(|links| links.events.contains_key(of));
            if let Some(event) = types.iter().find(|event| !known(event)) {
                let (stream, event) = (stream.to_string(), event.clone());
                return Err(Error::new(Kind::Undescribed { stream, event }));
            }
        }
        Ok(())
    }

    /// Keeps what is served now: its addresses outlive this release.
    pub(super) async fn keep(&self, store: &Store) -> Result<()> {
        let schemas = self
            .schemas
            .iter()
            .filter_map(|((name, revision), document)| {
                Some(KeptSchema {
                    name: name.clone(),
                    revision: revision.clone(),
                    stream: document.stream.clone()?,
                    text: String::from_utf8_lossy(&document.text).into_owned(),
                })
            });
        match store.keep_schemas(&schemas.collect::<Vec<_>>()).await {
            // Whoever writes keeps them.
            Err(error) if error.is_read_only() => Ok(()),
            kept => kept,
        }
    }

    /// Says where the description of all is.
    pub(super) fn link(&self, headers: &mut HeaderMap) {
        if self.asyncapi.is_some() {
            link(headers, ASYNCAPI, "service-desc");
        }
    }
}

#[cfg(feature = "schema")]
mod described {
    use super::{Document, Documents, Links, Result, StreamVersion};
    use crate::schema::{Contract, documents, events};

    impl Documents {
        /// Takes over what the contract says.
        pub(in super::super) fn add(&mut self, contract: Contract) {
            if let Err(mistake) = self.try_add(contract) {
                self.mistake.get_or_insert(mistake);
            }
        }

        fn try_add(&mut self, contract: Contract) -> Result<()> {
            let contract = contract.sound()?;
            let mut texts = documents(&contract)?;
            texts.extend(events(&contract));
            let text = texts.remove("asyncapi.json").unwrap_or_default();
            self.asyncapi = Some(Document::new(None, text));
            for (id, stream) in &contract.streams {
                let folder = format!("{}/v{}", id.stream, id.version);
                let mut links = Links::default();
                for event in &stream.events {
                    let file = format!("{folder}/{}.json", event.name);
                    let text = texts.remove(&file).unwrap_or_default();
                    let event_type = contract.event_type(id, event.name);
                    let place = self.place(event_type.clone(), id, text);
                    links.events.insert(event_type, place);
                }
                let text = texts.remove(&format!("{folder}/stream.json"));
                let name = format!("{}.v{}", id.stream, id.version);
                links.stream = self.place(name, id, text.unwrap_or_default());
                self.of.insert(id.clone(), links);
            }
            Ok(())
        }

        /// Takes a schema and answers where it is.
        fn place(&mut self, name: String, stream: &StreamVersion, text: String) -> String {
            let document = Document::new(Some(stream.clone()), text);
            let revision = document.tag.trim_matches('"').to_owned();
            let place = format!("/schemas/{name}/{revision}.json");
            self.schemas.insert((name, revision), document);
            place
        }
    }

    impl Document {
        fn new(stream: Option<StreamVersion>, text: String) -> Self {
            use sha2::{Digest, Sha256};
            let digest = hex::encode(&Sha256::digest(&text)[..16]);
            Self {
                stream,
                tag: format!("\"{digest}\""),
                text: text.into(),
            }
        }
    }
}

impl From<KeptSchema> for Document {
    fn from(kept: KeptSchema) -> Self {
        Self {
            stream: Some(kept.stream),
            tag: format!("\"{}\"", kept.revision),
            text: kept.text.into(),
        }
    }
}

pub(super) async fn schema(
    State(shared): State<Arc<Shared>>,
    path: Names,
    request: Request,
) -> Result<Response, Problem> {
    let (name, file) = names(path)?;
    let revision = file.strip_suffix(".json").unwrap_or(&file).to_owned();
    let Shared { feed, .. } = &*shared;
    let served = feed
        .serve
        .documents
        .schemas
        .get(&(name.clone(), revision.clone()));
    let earlier = match served {
        Some(_) => None,
        None => feed.store.kept_schema(&name, &revision).await?,
    };
    let earlier = earlier.map(Document::from);
    let unknown =
        || Problem::not_found("there is no such schema here: /streams has their addresses");
    let found = served.or(earlier.as_ref()).ok_or_else(unknown)?;
    answer(
        &shared,
        found,
        request,
        "application/schema+json",
        Keep::Immutable(FOREVER),
    )
    .await
}

pub(super) async fn asyncapi(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("this service does not publish its contract");
    let found = shared.feed.serve.documents.asyncapi.as_ref();
    let found = found.ok_or_else(unknown)?;
    answer(&shared, found, request, "application/json", Keep::Ask).await
}

async fn answer(
    shared: &Shared,
    document: &Document,
    request: Request,
    content_type: &'static str,
    keep: Keep,
) -> Result<Response, Problem> {
    let (request, _) = request.into_parts();
    // What tells of all streams is for those who may read all of them.
    let whose = document.stream.iter();
    let all = shared
        .feed
        .streams
        .keys()
        .filter(|_| document.stream.is_none());
    for stream in whose.chain(all) {
        shared.admit(&request, stream).await?;
    }
    let mut headers = HeaderMap::new();
    headers::keep(&mut headers, keep, shared.private());
    if tagged(&mut headers, &request.headers, &document.tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok((headers, Body::from(document.text.clone())).into_response())
}
