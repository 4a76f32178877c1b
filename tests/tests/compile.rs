//! What the derives accept, and what they say when they do not.
//!
//! `TRYBUILD=overwrite cargo test -p es-tests --test compile` writes the `.stderr` files anew.

#[test]
fn programs() {
    let cases = trybuild::TestCases::new();
    cases.pass("compile-pass/*.rs");
    cases.compile_fail("compile-fail/*.rs");
}
