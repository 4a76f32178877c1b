//! Pages in fewer bytes, for those who say that they can unpack them.

use axum::http::HeaderMap;

use crate::error::Result;

/// Whether the answer may be packed, and is worth it.
pub(super) fn is_wanted(request: &HeaderMap) -> bool {
    #[cfg(feature = "gzip")]
    {
        use axum::http::header::ACCEPT_ENCODING;
        let said = request.get(ACCEPT_ENCODING);
        let said = said.is_some_and(|encodings| !encodings.is_empty());
        said && super::headers::wanted(request, ACCEPT_ENCODING, &["gzip"]).is_some()
    }
    #[cfg(not(feature = "gzip"))]
    {
        let _ = request;
        false
    }
}

/// The bytes of a page, packed beside the requests of others.
#[cfg(feature = "gzip")]
pub(super) async fn pack(body: Vec<u8>) -> Result<Vec<u8>> {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use crate::error::Error;

    const DOING: &str = "packing a page of the feed";
    let pack = move || {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&body)?;
        packed.finish()
    };
    let packed = tokio::task::spawn_blocking(pack).await;
    let packed = packed.map_err(|error| Error::database(DOING, error))?;
    packed.map_err(|error| Error::database(DOING, error))
}

#[cfg(not(feature = "gzip"))]
pub(super) async fn pack(body: Vec<u8>) -> Result<Vec<u8>> {
    Ok(body)
}
