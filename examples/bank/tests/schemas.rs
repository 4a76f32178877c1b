//! The bank keeps what it released: its schemas, and what its read models and mappings do. And
//! what is new is released with the change that makes it.

use bank::accounts::contract;

es_runtime::schema::test!(contract());

#[test]
fn everything_is_released() {
    let report = contract().check(env!("CARGO_MANIFEST_DIR")).unwrap();
    assert!(
        report.is_released(),
        "run `cargo run -p bank --features schema -- schema release`\n\n{report}"
    );
    assert!(report.findings.is_empty(), "{report}");
}

#[test]
fn both_versions_of_the_contract_agree_with_their_schemas() {
    use bank::accounts::contract::Accounts;
    es_runtime::testing::laws::<Accounts>().schemas().check();
}
