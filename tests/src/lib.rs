//! Tests that need several crates at once, or compile programs of their own: what the derives do,
//! what they say, and that every code has its page.
