//! What stands in the headers of answers.

use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, LINK};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// A stream's last position.
pub(super) const STREAM_HEAD: HeaderName = HeaderName::from_static("stream-head");
/// How far the stream was looked through: a filtered reader missed nothing up to there.
pub(super) const STREAM_CHECKPOINT: HeaderName = HeaderName::from_static("stream-checkpoint");
/// Since when a stream version is deprecated (RFC 9745), and when it may be gone (RFC 8594).
pub(super) const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
pub(super) const SUNSET: HeaderName = HeaderName::from_static("sunset");
/// Who reads.
pub(super) const ES_CONSUMER: HeaderName = HeaderName::from_static("es-consumer");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Adds a header; what cannot be one is left out.
pub(super) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}

pub(super) fn link(headers: &mut HeaderMap, target: &str, relation: &str) {
    put(headers, LINK, &format!("<{target}>; rel=\"{relation}\""));
}

/// How long an answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// For as long, in seconds; it never changes.
    Immutable(u64),
    /// Until it is asked for again, and then only while it is the same.
    Ask,
}

/// A year, which stands for ever.
pub(super) const FOREVER: u64 = 31_536_000;

/// Says how long the answer may be kept, and by whom.
pub(super) fn keep(headers: &mut HeaderMap, keep: Keep, private: bool) {
    let private = if private { "private, " } else { "" };
    let value = match keep {
        Keep::Immutable(FOREVER) => format!("{private}max-age={FOREVER}, immutable"),
        Keep::Immutable(seconds) => format!("{private}max-age={seconds}"),
        Keep::Ask => format!("{private}no-cache"),
    };
    put(headers, CACHE_CONTROL, &value);
}

pub(super) fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Names what the answer holds, and tells whether the asker has it already.
pub(super) fn tagged(headers: &mut HeaderMap, request: &HeaderMap, tag: &str) -> bool {
    put(headers, ETAG, tag);
    let known = request.get_all(IF_NONE_MATCH).iter();
    let mut known = known.filter_map(|value| value.to_str().ok());
    known.any(|known| {
        let mut tags = known.split(',').map(str::trim);
        // For a GET a weak comparison is asked for.
        tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    })
}

/// How much a list like `Accept`'s wants each of `offered`: the first of those that it wants most.
pub(super) fn wanted<'o>(
    headers: &HeaderMap,
    name: HeaderName,
    offered: &[&'o str],
) -> Option<&'o str> {
    let lists: Vec<_> = headers.get_all(name).iter().collect();
    let lists: Vec<_> = lists.iter().filter_map(|list| list.to_str().ok()).collect();
    if lists.iter().all(|list| list.trim().is_empty()) {
        return offered.first().copied();
    }
    let ranges: Vec<_> = lists
        .iter()
        .flat_map(|list| list.split(','))
        .filter_map(range)
        .collect();
    let quality = |offer: &str| {
        let matching = ranges.iter().filter(|(range, _)| matches(range, offer));
        // The most precise one counts.
        let best = matching.max_by_key(|(range, _)| (!range.contains('*'), range.len()));
        best.map_or(0, |(_, quality)| *quality)
    };
    let mut best = None;
    for offer in offered {
        let quality = quality(offer);
        if quality > best.map_or(0, |(_, quality)| quality) {
            best = Some((*offer, quality));
        }
    }
    best.map(|(offer, _)| offer)
}

/// One element of such a list, with its quality in thousandths.
fn range(element: &str) -> Option<(String, u32)> {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let quality: f64 = quality.map_or(Some(1.0), |quality| quality.parse().ok())?;
    if !(0.0..=1.0).contains(&quality) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some((name.to_ascii_lowercase(), (quality * 1000.0) as u32))
}

fn matches(range: &str, offer: &str) -> bool {
    match range.strip_suffix('*') {
        Some("" | "*/") => true,
        Some(prefix) => offer.starts_with(prefix),
        None => range == offer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &'static str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static(accept));
        wanted(
            &headers,
            HeaderName::from_static("accept"),
            &["application/json", "text/event-stream"],
        )
    }

    #[test]
    fn what_is_wanted_most_is_chosen() {
        for (accept, expected) in [
            ("*/*", Some("application/json")),
            ("", Some("application/json")),
            ("text/event-stream", Some("text/event-stream")),
            (
                "text/*;q=0.5, application/json;q=0.4",
                Some("text/event-stream"),
            ),
            ("*/*;q=0.1, application/json;q=0", Some("text/event-stream")),
            ("APPLICATION/JSON", Some("application/json")),
            ("text/html", None),
            ("application/json;q=0", None),
            ("application/json;q=7, ,;;,text/html", None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept}");
        }
    }

    #[test]
    fn a_known_tag_is_recognised() {
        for (known, same) in [
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            let mut request = HeaderMap::new();
            put(&mut request, IF_NONE_MATCH, known);
            let mut answer = HeaderMap::new();
            assert_eq!(tagged(&mut answer, &request, "\"a\""), same, "{known}");
            assert_eq!(answer[ETAG], "\"a\"");
        }
    }
}
