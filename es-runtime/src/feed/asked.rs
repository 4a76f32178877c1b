//! What a request for events asks.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;

use super::Served;
use super::headers::{LAST_EVENT_ID, wanted};
use super::problem::Problem;
use super::serve::Serve;
use crate::event::Position;
use crate::store::{PublishedQuery, StreamVersion};

/// Events on a page unless the client wants fewer or more.
const PAGE: u64 = 100;

const BATCH: &str = "application/cloudevents-batch+json";
const JSON: &str = "application/json";
const SENT: &str = "text/event-stream";

/// In what form the events are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A page under this media type.
    Batch(&'static str),
    /// Server-sent events.
    Sent,
}

pub(super) fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    const OFFERED: [&str; 3] = [BATCH, JSON, SENT];
    match wanted(headers, ACCEPT, &OFFERED) {
        Some(SENT) => Ok(Form::Sent),
        // A plain reader's word for the same.
        Some(JSON) => Ok(Form::Batch(JSON)),
        Some(_) => Ok(Form::Batch(BATCH)),
        None => Err(Problem::not_acceptable(&OFFERED)),
    }
}

/// A request for events, understood.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) query: PublishedQuery,
    pub(super) wait: Duration,
    /// The cursor as it was given: it may be beyond all that a store can count.
    pub(super) cursor: u64,
}

/// The parameters as texts.
#[derive(Default)]
struct Parameters {
    after: Option<String>,
    limit: Option<String>,
    wait: Option<String>,
    types: Option<String>,
    subject: Option<String>,
}

impl Parameters {
    fn of(query: Option<&str>) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        let mut consumer = None;
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let parameter = match &*name {
                "after" | "lastEventId" => &mut parameters.after,
                "limit" => &mut parameters.limit,
                "wait" | "timeout" => &mut parameters.wait,
                "types" => &mut parameters.types,
                "subject" => &mut parameters.subject,
                // Who reads is looked at elsewhere.
                "consumer" => &mut consumer,
                _ => {
                    let detail = format!(
                        "there is no parameter `{name}`: there are `after`, `limit`, `wait`, `types`, `subject` and `consumer`"
                    );
                    return Err(Problem::wrong(&name, detail));
                }
            };
            if parameter.replace(value.into_owned()).is_some() {
                let detail = format!("`{name}` is said twice");
                return Err(Problem::wrong(&name, detail));
            }
        }
        Ok(parameters)
    }
}

pub(super) fn question(
    request: &Parts,
    stream: &StreamVersion,
    served: &Served,
    serve: &Serve,
    form: Form,
) -> Result<Question, Problem> {
    let asked = Parameters::of(request.uri.query())?;
    // Who reconnects repeats the address of the first time, and says in a header how far they came.
    let last = request
        .headers
        .get(LAST_EVENT_ID)
        .filter(|_| form == Form::Sent);
    let last = last.map(|last| String::from_utf8_lossy(last.as_bytes()).into_owned());
    let cursor = match last.or(asked.after) {
        Some(text) => cursor(&text, stream)?,
        None => 0,
    };
    let most = serve.limits.page;
    let limit = number("limit", asked.limit.as_deref(), PAGE)?;
    if limit == 0 {
        return Err(Problem::wrong("limit", "`limit` is at least 1"));
    }
    let limit = usize::try_from(limit).unwrap_or(most).min(most);
    let wait = Duration::from_millis(number("wait", asked.wait.as_deref(), 0)?);
    // A store counts as far.
    let after = Position::new(cursor.min(i64::MAX as u64));
    let mut query = PublishedQuery::after(stream, after).limit(limit);
    if let Some(types) = asked.types {
        query = query.types(types_of(&types, stream, served)?);
    }
    if let Some(subject) = asked.subject {
        query = query.subject(subject);
    }
    Ok(Question {
        query,
        wait: wait.min(serve.limits.wait),
        cursor,
    })
}

fn number(name: &str, text: Option<&str>, default: u64) -> Result<u64, Problem> {
    let wrong = |text| {
        let detail = format!("`{name}` is a whole number, not `{text}`");
        Problem::wrong(name, detail)
    };
    text.map_or(Ok(default), |text| text.parse().map_err(|_| wrong(text)))
}

/// A cursor is a position, or the last event's id, `accounts.v2-17`.
fn cursor(text: &str, stream: &StreamVersion) -> Result<u64, Problem> {
    let prefix = format!("{}.v{}-", stream.stream, stream.version);
    let digits = text.strip_prefix(&prefix).unwrap_or(text);
    let wrong = |_| {
        let detail =
            format!("`after` is a whole number, not `{text}`, or an event's id as `{prefix}17`");
        Problem::wrong("after", detail)
    };
    digits.parse().map_err(wrong)
}

/// The public types that were named, in full or by the event's own name.
fn types_of(text: &str, stream: &StreamVersion, served: &Served) -> Result<Vec<String>, Problem> {
    let suffix = format!(".v{}", stream.version);
    let own = |full: &'_ str| -> Option<String> {
        let name = full.strip_suffix(&suffix)?.rsplit('.').next()?;
        Some(name.to_owned())
    };
    let mut types = Vec::new();
    for name in text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let known = served.types.iter();
        let mut known = known.filter(|full| *full == name || own(full).as_deref() == Some(name));
        let Some(full) = known.next() else {
            let detail = format!(
                "`{stream}` has no events of the type `{name}`: it has {}",
                served.types.join(", ")
            );
            return Err(Problem::wrong("types", detail));
        };
        if !types.contains(full) {
            types.push(full.clone());
        }
    }
    match types.is_empty() {
        true => Err(Problem::wrong(
            "types",
            "`types` names at least one type of event",
        )),
        false => Ok(types),
    }
}

impl Question {
    /// Where to ask for what follows.
    pub(super) fn next(&self, after: Position) -> String {
        let PublishedQuery { stream, limit, .. } = &self.query;
        let mut next = format!("{}/events?after={after}&limit={limit}", super::path(stream));
        let mut more = form_urlencoded::Serializer::new(String::new());
        if let Some(types) = &self.query.types {
            more.append_pair("types", &types.join(","));
        }
        if let Some(subject) = &self.query.subject {
            more.append_pair("subject", subject);
        }
        let more = more.finish();
        if !more.is_empty() {
            next.push('&');
            next.push_str(&more);
        }
        next
    }
}
