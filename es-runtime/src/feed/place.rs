//! Where a consumer of one version goes on in another.

mod search;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use self::search::{Asked, Placed, place};
use super::catalogue::json;
use super::problem::Problem;
use super::{Names, Shared, names};
use crate::event::Position;
use crate::integration::Status;
use crate::integration::place::Wire;
use crate::store::StreamVersion;

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    path: Names,
    request: Request,
) -> Result<Response, Problem> {
    let (stream, version) = names(path)?;
    let (stream, served) = shared.find(&stream, &version)?;
    let (request, _) = request.into_parts();
    shared.admit(&request, stream).await?;
    if served.status == Status::Retired {
        return Err(shared.retired(stream));
    }
    let asked = question(request.uri.query(), stream)?;
    // The code may not know the other version any more, and readers may be asked about it all the same.
    shared.admit(&request, &asked.of).await?;
    let _place = shared.places.answer().await?;
    let of = &asked.of;
    match place(&shared.feed.store, &asked).await? {
        Placed::At(place) => json(&shared, &request, &Wire::new(of.version, place)),
        Placed::Unknown => {
            let version = format!("v{}", of.version);
            Err(Problem::unknown_stream(&of.stream, &version))
        }
        Placed::Building(stream) => Err(Problem::building(&stream)),
        Placed::Retired(stream) => Err(shared.retired(&stream)),
        Placed::Ahead(head) => Err(Problem::cursor_ahead(of, asked.position.get(), head)),
        Placed::Disagrees => Err(Problem::another_origin(of, asked.position)),
        Placed::Behind => Err(Problem::behind(stream, of)),
    }
}

fn question(query: Option<&str>, stream: &StreamVersion) -> Result<Asked, Problem> {
    let (mut of, mut position, mut origin) = (None, None, None);
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let (parameter, most) = match &*name {
            "of" => (&mut of, u64::from(u32::MAX)),
            "position" => (&mut position, i64::MAX as u64),
            "origin" => (&mut origin, i64::MAX as u64),
            // Who reads is looked at elsewhere.
            "consumer" => continue,
            _ => {
                let detail = format!(
                    "there is no parameter `{name}`: there are `of`, `position`, `origin` and `consumer`"
                );
                return Err(Problem::wrong(&name, detail));
            }
        };
        let digits = value.strip_prefix('v').filter(|_| name == "of");
        let number: Result<u64, _> = digits.unwrap_or(&value).parse();
        let Some(number) = number.ok().filter(|number| *number <= most) else {
            let detail = format!("`{name}` is a whole number, not `{value}`");
            return Err(Problem::wrong(&name, detail));
        };
        if parameter.replace(number).is_some() {
            let detail = format!("`{name}` is said twice");
            return Err(Problem::wrong(&name, detail));
        }
    }
    let missing = |name: &str| {
        let detail = format!(
            "say `{name}`: `?of=1&position=17` asks for the place of one who stands at 17 of version 1"
        );
        Problem::wrong(name, detail)
    };
    let of = of.ok_or_else(|| missing("of"))?;
    let position = position.ok_or_else(|| missing("position"))?;
    Ok(Asked {
        of: StreamVersion {
            stream: stream.stream.clone(),
            version: u32::try_from(of).unwrap_or(u32::MAX),
        },
        stream: stream.clone(),
        position: Position::new(position),
        origin: Position::new(origin.unwrap_or_default()),
    })
}
