use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A disk that is soon full: a `tmpfs` of a few megabytes. Dropped, it is gone.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts it.
    ///
    /// # Errors
    /// Why this machine cannot: only root may mount, and not in every container.
    ///
    /// # Panics
    /// When there is no temporary folder.
    pub fn mount(megabytes: u32) -> Result<Self, String> {
        let folder = TempDir::with_prefix("es-disk-").expect("a temporary folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]);
        let output = mount.arg(folder.path()).output();
        let output = output.map_err(|error| format!("cannot run `mount`: {error}"))?;
        if output.status.success() {
            return Ok(Self { folder });
        }
        let why = String::from_utf8_lossy(&output.stderr);
        Err(format!("cannot mount a small disk: {}", why.trim()))
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes until there is no room for another byte.
    ///
    /// # Panics
    /// When the file for it cannot be made.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("a file on the small disk");
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Takes back what [`fill`](Self::fill) wrote.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open on it does not keep it in the tree.
        let mut unmount = Command::new("umount");
        unmount.arg("--lazy").arg(self.path()).output().ok();
    }
}
