//! Whom to run a server as: databases refuse to be run by root.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Somebody who is not root.
#[derive(Clone, Copy)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Whom to become, if we are root: as such our `folder` shows us.
    pub(crate) fn other_than_root(folder: &Path) -> Option<Self> {
        let root = fs::metadata(folder).expect("the folder is there").uid() == 0;
        root.then(|| {
            let named = |name| named(name).ok().flatten();
            named("postgres")
                .or_else(|| named("nobody"))
                .expect("a user who is not root")
        })
    }

    pub(crate) fn owns(self, folder: &Path) {
        chown(folder, Some(self.uid), Some(self.gid)).expect("the folder changes hands");
    }

    pub(crate) fn runs(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

fn named(name: &str) -> io::Result<Option<User>> {
    let users = fs::read_to_string("/etc/passwd")?;
    let fields = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let mut named = fields.filter(|fields| fields.len() > 3 && fields[0] == name);
    Ok(named.find_map(|fields| {
        Some(User {
            uid: fields[2].parse().ok()?,
            gid: fields[3].parse().ok()?,
        })
    }))
}
