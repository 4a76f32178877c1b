//! Nothing: this package is its tests. They stand here, and not in the crates, because they need
//! several of them at once, or compile programs of their own.
