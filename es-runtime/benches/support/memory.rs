//! How much memory something takes, as Linux counts it.

use std::fs;

/// The memory of this process from now on.
pub(crate) struct Memory {
    before: Option<u64>,
}

impl Memory {
    /// Forgets the peak of what was before.
    pub(crate) fn watch() -> Self {
        let reset = fs::write("/proc/self/clear_refs", "5");
        let before = reset.ok().and_then(|()| of_this_process("VmRSS:"));
        Self { before }
    }

    /// The most that was taken since, in KiB; nothing where nobody counts.
    pub(crate) fn growth(&self) -> Option<u64> {
        Some(of_this_process("VmHWM:")?.saturating_sub(self.before?))
    }
}

fn of_this_process(what: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
