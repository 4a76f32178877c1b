//! Every way to fail, each with its code.

use std::borrow::Cow;

use crate::event::{Position, StreamId};

/// The stored name, the stream and the version of an event that cannot be read.
pub(crate) type At = Box<(String, String, u64)>;

/// Every way to fail. Private: users see codes and predicates, so that it can grow.
#[derive(Clone, Debug)]
// Which of them can happen depends on the features.
#[allow(dead_code)]
pub(crate) enum Kind {
    Conflict {
        stream: StreamId,
        expected: u64,
        found: u64,
    },
    Rejected {
        stream: StreamId,
        command: &'static str,
    },
    UnknownEvent(At),
    Undecodable(At),
    NewerEvent {
        at: At,
        needs: u32,
        known: u32,
    },
    NotUpcast {
        at: At,
        from: u32,
        /// The version that it does not become.
        version: u32,
    },
    NotDowncast {
        event: &'static str,
        /// The version that it does not become.
        version: u32,
    },
    Retired {
        event: &'static str,
    },
    Unencodable {
        what: String,
    },
    InvalidId,
    Database {
        doing: Cow<'static, str>,
    },
    FutureDatabase {
        found: i64,
        known: i64,
    },
    UnknownStore {
        url: String,
    },
    BrokenOrder {
        after: Position,
        found: Position,
    },
    OutOfRange {
        what: String,
    },
    Building {
        projection: String,
        cursor: Position,
        head: Position,
    },
    ChangedColumns {
        projection: String,
        stored: String,
        declared: String,
    },
    ChangedReactions {
        projection: String,
        stored: String,
        declared: String,
    },
    Deadline {
        projection: String,
        wanted: Position,
        cursor: Position,
    },
    Stopped {
        worker: String,
        reason: String,
    },
    Unregistered {
        what: String,
    },
    LifeRefused {
        projection: String,
        what: &'static str,
        why: String,
    },
    Parked {
        projection: String,
        key: String,
        position: Position,
        reason: String,
    },
    Unapplied {
        projection: String,
        key: String,
        position: Position,
        attempt: u32,
        reason: String,
    },
    Uncreated {
        projection: String,
    },
    TooManyParked {
        projection: String,
        most: u64,
        key: String,
        reason: String,
    },
    Incomparable {
        old: String,
        new: String,
    },
    /// Something of a table or view that somebody else has not let go of.
    Locked {
        what: String,
        holders: String,
    },
    Duplicate {
        what: String,
    },
    Listen {
        address: String,
    },
    Undescribed {
        stream: String,
        event: String,
    },
    Feed {
        url: String,
        why: String,
    },
    Unprepared {
        consumer: String,
    },
    FeedRefused {
        url: String,
        why: String,
    },
    CursorAhead {
        stream: String,
        cursor: Position,
        head: Position,
    },
    UnfilledHole {
        stream: String,
        wanted: Position,
        found: Position,
    },
    Forked {
        stream: String,
        position: Position,
    },
    Handler {
        consumer: String,
        most: usize,
        key: String,
        reason: String,
    },
    ParkedInInbox {
        consumer: String,
        key: String,
        position: Position,
        reason: String,
    },
    NoHead {
        stream: String,
    },
    NotServed {
        stream: String,
        why: String,
    },
    TwoInboxes {
        consumer: String,
        stream: String,
        older: u32,
        newer: u32,
    },
    NoPredecessor {
        consumer: String,
        stream: String,
        other: String,
    },
    InsideEvent {
        inbox: String,
        position: Position,
        until: Position,
    },
    NotCarried {
        inbox: String,
        to: String,
        key: String,
        why: String,
    },
    NoPlace {
        stream: String,
    },
    NoFilter {
        stream: String,
    },
    NotAhead {
        consumer: String,
        subject: String,
        why: String,
    },
    HandledOther {
        consumer: String,
        subject: String,
        position: Position,
    },
    NoInbox {
        inbox: String,
    },
    StillAhead {
        inbox: String,
        subject: String,
        until: Position,
    },
    NotRepaired {
        consumer: String,
        why: String,
    },
    UnknownIntegrationEvent {
        stream: String,
        position: Position,
        event_type: String,
    },
    BadEnvelope {
        stream: String,
        why: String,
    },
    WrongTransaction {
        wanted: &'static str,
    },
    Overloaded {
        queue: usize,
    },
    OtherLog {
        host: String,
        found: String,
        expected: String,
    },
    NoPrimary {
        why: String,
    },
    ReadOnly {
        doing: &'static str,
    },
    PastDatabase {
        found: i64,
        known: i64,
    },
    HeldBack {
        event: &'static str,
        version: u32,
        instance: String,
    },
    OtherInstances,
    Discontinuous {
        why: String,
    },
    BadLine {
        file: String,
        line: u64,
        why: String,
    },
    Damaged {
        file: String,
        why: String,
    },
    OtherFile {
        file: String,
        position: Position,
    },
    File {
        doing: String,
    },
    NotContinuable {
        file: String,
        why: String,
    },
    Uncast {
        stream: String,
        event: &'static str,
        version: u32,
        why: String,
    },
    Unmapped {
        stream: String,
        aggregate: &'static str,
    },
    NoSchema {
        of: &'static str,
        why: String,
    },
    NoSample {
        why: String,
    },
    Incompatible {
        findings: String,
    },
    NotUnique {
        projection: String,
        /// The row that was refused.
        key: String,
        /// The column, or the columns.
        column: String,
        /// The row that holds it already.
        holder: String,
    },
    FarBehind {
        projection: String,
        cursor: Position,
        head: Position,
        most: usize,
    },
    Broker {
        doing: Cow<'static, str>,
    },
    Held {
        route: String,
    },
    Untransportable {
        what: String,
    },
    BadBrokerUrl {
        /// What one looks like.
        url: String,
        why: String,
    },
    NoSuchPlace {
        to: String,
    },
    Unpublished {
        stream: String,
        position: Position,
        head: Position,
    },
    NoRecipient {
        process: &'static str,
        /// The aggregate's name.
        to: String,
    },
    OtherDecision {
        stream: StreamId,
    },
    InboxElsewhere {
        aggregate: &'static str,
    },
    UnreadableTask {
        process: &'static str,
        what: String,
    },
    BadPageToken {
        why: String,
    },
    UnreadableMessage {
        adapter: String,
    },
    Misplaced {
        adapter: String,
        key: String,
        why: String,
    },
    KeyReused {
        adapter: String,
        key: String,
        stream: StreamId,
        version: u64,
    },
    Polling {
        adapter: String,
    },
    NotSetAside {
        adapter: String,
        number: u64,
    },
}

impl Kind {
    /// The stable code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "ES0101",
            Self::Rejected { .. } => "ES0102",
            Self::UnknownEvent(_) => "ES0103",
            Self::Undecodable(_) => "ES0104",
            Self::NewerEvent { .. } => "ES0105",
            Self::Unencodable { .. } => "ES0106",
            Self::InvalidId => "ES0107",
            Self::Database { .. } => "ES0110",
            Self::FutureDatabase { .. } => "ES0111",
            Self::UnknownStore { .. } => "ES0112",
            Self::BrokenOrder { .. } => "ES0113",
            Self::OutOfRange { .. } => "ES0114",
            Self::WrongTransaction { .. } => "ES0115",
            Self::Overloaded { .. } => "ES0116",
            Self::OtherLog { .. } => "ES0117",
            Self::NoPrimary { .. } => "ES0118",
            Self::Building { .. } => "ES0120",
            Self::ChangedColumns { .. } => "ES0121",
            Self::ChangedReactions { .. } => "ES0188",
            Self::Deadline { .. } => "ES0122",
            Self::Stopped { .. } => "ES0123",
            Self::Unregistered { .. } => "ES0124",
            Self::LifeRefused { .. } => "ES0125",
            Self::Incomparable { .. } => "ES0192",
            Self::Locked { .. } => "ES0193",
            Self::Duplicate { .. } => "ES0126",
            Self::Listen { .. } => "ES0127",
            Self::Undescribed { .. } => "ES0220",
            Self::Feed { .. } => "ES0130",
            Self::CursorAhead { .. } => "ES0131",
            Self::UnfilledHole { .. } => "ES0132",
            Self::Forked { .. } => "ES0133",
            Self::Handler { .. } => "ES0134",
            Self::ParkedInInbox { .. } => "ES0240",
            Self::NoHead { .. } => "ES0241",
            Self::NotServed { .. } => "ES0242",
            Self::TwoInboxes { .. } => "ES0243",
            Self::NoPredecessor { .. } => "ES0244",
            Self::InsideEvent { .. } => "ES0245",
            Self::NotCarried { .. } => "ES0246",
            Self::NoPlace { .. } => "ES0247",
            Self::NoFilter { .. } => "ES0250",
            Self::NotAhead { .. } => "ES0251",
            Self::HandledOther { .. } => "ES0252",
            Self::NoInbox { .. } => "ES0253",
            Self::NotRepaired { .. } => "ES0254",
            Self::StillAhead { .. } => "ES0255",
            Self::UnknownIntegrationEvent { .. } => "ES0135",
            Self::BadEnvelope { .. } => "ES0136",
            Self::Unprepared { .. } => "ES0138",
            Self::FeedRefused { .. } => "ES0137",
            Self::Discontinuous { .. } => "ES0140",
            Self::BadLine { .. } => "ES0141",
            Self::Damaged { .. } => "ES0142",
            Self::OtherFile { .. } => "ES0143",
            Self::File { .. } => "ES0144",
            Self::NotContinuable { .. } => "ES0145",
            Self::Retired { .. } => "ES0146",
            Self::NotUpcast { .. } => "ES0147",
            Self::NotDowncast { .. } => "ES0149",
            Self::Uncast { .. } => "ES0150",
            Self::Unmapped { .. } => "ES0151",
            Self::NoSchema { .. } => "ES0160",
            Self::NoSample { .. } => "ES0161",
            Self::Incompatible { .. } => "ES0170",
            Self::ReadOnly { .. } => "ES0175",
            Self::PastDatabase { .. } => "ES0176",
            Self::HeldBack { .. } => "ES0177",
            Self::OtherInstances => "ES0178",
            Self::Broker { .. } => "ES0200",
            Self::Held { .. } => "ES0201",
            Self::Untransportable { .. } => "ES0202",
            Self::BadBrokerUrl { .. } => "ES0203",
            Self::NoSuchPlace { .. } => "ES0204",
            Self::Unpublished { .. } => "ES0205",
            Self::NoRecipient { .. } => "ES0260",
            Self::OtherDecision { .. } => "ES0261",
            Self::UnreadableTask { .. } => "ES0262",
            Self::InboxElsewhere { .. } => "ES0263",
            Self::NotUnique { .. } => "ES0180",
            Self::FarBehind { .. } => "ES0181",
            Self::BadPageToken { .. } => "ES0182",
            Self::UnreadableMessage { .. } => "ES0275",
            Self::Misplaced { .. } => "ES0276",
            Self::KeyReused { .. } => "ES0277",
            Self::Polling { .. } => "ES0278",
            Self::NotSetAside { .. } => "ES0279",
            Self::Parked { .. } => "ES0184",
            Self::TooManyParked { .. } => "ES0185",
            Self::Unapplied { .. } => "ES0186",
            Self::Uncreated { .. } => "ES0187",
        }
    }
}
