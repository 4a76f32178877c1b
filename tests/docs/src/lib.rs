//! The documents, as tests: every Rust block of README and the book is a doctest of this crate.
//!
//! The bank that the tutorial's first page shows is [`bank`], so that later pages may use it; a
//! test holds the two equal.

#[allow(missing_docs)]
pub mod bank;

/// Makes the Rust blocks of a document doctests, under the document's name.
#[cfg(doctest)]
macro_rules! documents {
    ($($name:ident: $path:literal,)*) => {$(
        #[doc = include_str!($path)]
        pub struct $name;
    )*};
}

#[cfg(doctest)]
documents! {
    Readme: "../../../README.md",
    TutorialAccount: "../../../docs/tutorial/1-account.md",
    TutorialService: "../../../docs/tutorial/2-service.md",
    TutorialReadModel: "../../../docs/tutorial/3-read-model.md",
    TutorialVersion2: "../../../docs/tutorial/4-version-2.md",
    TutorialStream: "../../../docs/tutorial/5-stream.md",
    TutorialConsumer: "../../../docs/tutorial/6-consumer.md",
    TutorialContract: "../../../docs/tutorial/7-contract.md",
    TutorialKilled: "../../../docs/tutorial/8-killed.md",
    TutorialInProduction: "../../../docs/tutorial/9-in-production.md",
    GuideTesting: "../../../docs/guides/testing.md",
    GuideChangingEvents: "../../../docs/guides/changing-events.md",
    GuideErrors: "../../../docs/guides/errors.md",
    GuideBuilding: "../../../docs/guides/building.md",
    GuideReactions: "../../../docs/guides/reactions.md",
    GuideProcesses: "../../../docs/guides/processes.md",
    GuideFeed: "../../../docs/guides/feed.md",
    GuideConsuming: "../../../docs/guides/consuming.md",
    GuideFortyLines: "../../../docs/guides/forty-lines.md",
    GuideVerifying: "../../../docs/guides/verifying.md",
    GuideMigratingAConsumer: "../../../docs/guides/migrating-a-consumer.md",
    GuidePublishingOverBrokers: "../../../docs/guides/publishing-over-brokers.md",
    GuidePromoting: "../../../docs/guides/promoting.md",
    GuideRetiring: "../../../docs/guides/retiring.md",
    GuideReading: "../../../docs/guides/reading.md",
    GuideReadingViews: "../../../docs/guides/reading-views.md",
    GuideRollingDeploys: "../../../docs/guides/rolling-deploys.md",
    GuideSchemaCompatibility: "../../../docs/guides/schema-compatibility.md",
    GuideSqlProjections: "../../../docs/guides/sql-projections.md",
    GuideAdapters: "../../../docs/guides/adapters.md",
    GuideFailingKeys: "../../../docs/guides/failing-keys.md",
    GuideSnapshots: "../../../docs/guides/snapshots.md",
    GuideSchemas: "../../../docs/guides/schemas.md",
    GuideStores: "../../../docs/guides/stores.md",
    GuideSqlite: "../../../docs/guides/sqlite.md",
    GuidePostgresql: "../../../docs/guides/postgresql.md",
    GuideMoving: "../../../docs/guides/moving.md",
    ReferenceAttributes: "../../../docs/reference/attributes.md",
    ReferenceLog: "../../../docs/reference/log.md",
    ReferenceEnvelope: "../../../docs/reference/envelope.md",
    ReferenceFeed: "../../../docs/reference/feed.md",
    ReferenceMetadata: "../../../docs/reference/metadata.md",
    ReferenceProjectionsCli: "../../../docs/reference/projections-cli.md",
    ReferenceStreamsCli: "../../../docs/reference/streams-cli.md",
    ReferenceSchemas: "../../../docs/reference/schemas.md",
}
