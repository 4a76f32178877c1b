//! The derive macros of `es-runtime`, which re-exports them: depend on that crate alone.
