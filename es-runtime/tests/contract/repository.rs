//! A folder that stands for the service's repository.

use std::fs;
use std::path::Path;

use es_runtime::schema::{Contract, Finding, Report, Severity};
use tempfile::TempDir;

pub(crate) struct Repository(TempDir);

impl Repository {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// One in which this was released.
    pub(crate) fn with(contract: Contract) -> Self {
        let repository = Self::new();
        let report = repository.release(contract);
        assert!(report.is_ok(), "{report}");
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn check(&self, contract: Contract) -> Report {
        contract.check(self.path()).unwrap()
    }

    pub(crate) fn release(&self, contract: Contract) -> Report {
        contract.release(self.path()).unwrap()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.path().join(path), text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }
}

/// The errors of a report.
pub(crate) fn errors(report: &Report) -> Vec<&Finding> {
    let errors = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    errors.collect()
}

/// The only error of a report.
pub(crate) fn error(report: &Report) -> &Finding {
    let errors = errors(report);
    assert_eq!(errors.len(), 1, "{report}");
    errors[0]
}
