//! The files that remember what was released: `es.lock` and the folder `schemas` beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// The lock, beside `Cargo.toml`.
pub(crate) const LOCK: &str = "es.lock";
/// The folder, beside `Cargo.toml`.
pub(crate) const FOLDER: &str = "schemas";

/// Texts by their paths under a folder, with `/` between.
pub(crate) type Texts = BTreeMap<String, String>;

/// What stands in a repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) lock: String,
    pub(crate) schemas: Texts,
}

impl Files {
    /// Reads what is there; nothing is there before the first release.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = Self::default();
        let lock = root.join(LOCK);
        files.lock = absent(fs::read_to_string(&lock)).map_err(failed("reading", &lock))?;
        let folder = root.join(FOLDER);
        collect(&folder, "", &mut files.schemas).map_err(failed("reading", &folder))?;
        Ok(files)
    }
}

/// Nothing, where there is no file.
fn absent<T: Default>(read: io::Result<T>) -> io::Result<T> {
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        other => other,
    }
}

fn collect(folder: &Path, prefix: &str, texts: &mut Texts) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let ours = [".json", ".jsonl", ".md"]
            .iter()
            .any(|end| name.ends_with(end));
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), texts)?;
        } else if ours {
            texts.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

/// Writes texts under a folder; each file is there whole or as it was.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(folder: &Path, texts: &Texts) -> Result<()> {
    for (path, text) in texts {
        let path = folder.join(path);
        write_one(&path, text).map_err(failed("writing", &path))?;
    }
    Ok(())
}

fn write_one(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(beside, path)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let doing = format!("{doing} `{}`", path.display());
    move |error| Error::caused_by(Kind::File { doing }, error)
}
