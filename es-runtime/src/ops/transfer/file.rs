//! The file of an export: read line by line, written in blocks that end in a check. With zstd each
//! block is a frame of its own, so that a torn file is whole up to its last block.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::file_failed;
use super::line::{Account, Header, Line};
use crate::error::{Error, Kind, Result};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const LEVEL: i32 = 3;
/// A block ends after this many lines, or bytes.
const LINES: usize = 4096;
const BYTES: usize = 8 << 20;
/// What every header begins with.
const BEGIN: &[u8] = b"{\"log\":";
/// No header is longer: what is shorter and has no line may be one that was torn.
const HEADER: u64 = 1024;

/// The lines of a file, with their numbers.
pub(super) struct Source {
    name: String,
    from: Box<dyn BufRead + Send + Sync>,
    line: Vec<u8>,
    number: u64,
}

impl Source {
    /// Opens the file, compressed or not: its first bytes tell.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let open = || -> io::Result<Box<dyn BufRead + Send + Sync>> {
            let mut file = BufReader::with_capacity(1 << 18, File::open(path)?);
            if !file.fill_buf()?.starts_with(&MAGIC) {
                return Ok(Box::new(file));
            }
            let lines = zstd::Decoder::with_buffer(file)?;
            Ok(Box::new(BufReader::with_capacity(1 << 18, lines)))
        };
        let opening = |error: io::Error| file_failed(format!("opening `{name}`"))(error.into());
        let from = open().map_err(opening)?;
        Ok(Self {
            name,
            from,
            line: Vec::new(),
            number: 0,
        })
    }

    /// The next line, with its line feed; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        match self.from.read_until(b'\n', &mut self.line) {
            Ok(0) => return Ok(None),
            Ok(_) if self.line.ends_with(b"\n") => {}
            Ok(_) => return Err(self.damaged("its last line is torn")),
            Err(error) if is_torn(&error) => {
                return Err(self.damaged(format!("it ends within a compressed block: {error}")));
            }
            Err(error) => {
                let doing = format!("reading `{}`", self.name);
                return Err(file_failed(doing)(error.into()));
            }
        }
        self.number += 1;
        Ok(Some(&self.line))
    }

    /// An error that names the line that was read last.
    pub(super) fn bad_line(&self, why: impl Into<String>) -> Error {
        Error::new(Kind::BadLine {
            file: self.name.clone(),
            line: self.number,
            why: why.into(),
        })
    }

    pub(super) fn damaged(&self, why: impl Into<String>) -> Error {
        Error::new(Kind::Damaged {
            file: self.name.clone(),
            why: why.into(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number of the line that was read last.
    pub(super) fn line(&self) -> u64 {
        self.number
    }
}

/// Whether the decoder says that the data are cut off or changed.
fn is_torn(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, Other, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | InvalidData | Other)
}

/// A file that grows, block by block.
pub(super) struct Target {
    name: String,
    file: File,
    compressed: bool,
    block: Vec<u8>,
    lines: usize,
    account: Account,
}

/// What a file begins with, and where in the log it has come to.
pub(super) struct Opened {
    pub(super) target: Target,
    pub(super) header: Header,
    /// The line of its last event.
    pub(super) last: Vec<u8>,
}

impl Target {
    /// Makes the file, or cuts what is torn off one that an interrupted export has left, so that
    /// it goes on.
    pub(super) fn open(path: &Path, header: Header) -> Result<Opened> {
        let name = path.display().to_string();
        let failed = |error: io::Error| file_failed(format!("opening `{name}`"))(error.into());
        let mut open = OpenOptions::new();
        let open = open.read(true).write(true).create(true).truncate(false);
        let mut file = open.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return not_continuable(&name, "another export writes it");
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let compressed = path.extension().is_some_and(|ending| ending == "zst");
        let found = Found::read(&mut file, &name, compressed)?;
        let mut target = Self {
            name,
            file,
            compressed,
            block: Vec::new(),
            lines: 0,
            account: Account::new(header.after),
        };
        let Some(found) = found else {
            target.cut(0)?;
            target.put(&Line::Log(header.clone()), |_, _| {})?;
            target.seal()?;
            let last = Vec::new();
            return Ok(Opened {
                target,
                header,
                last,
            });
        };
        found.continues(&target.name, &header)?;
        target.cut(found.end)?;
        target.account = found.account;
        Ok(Opened {
            target,
            header: found.header,
            last: found.last,
        })
    }

    fn cut(&mut self, end: u64) -> Result<()> {
        let cut = self.file.set_len(end);
        let cut = cut.and_then(|()| self.file.seek(SeekFrom::Start(end)).map(drop));
        cut.map_err(|error| self.failed(error))
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// Adds a line that `count` takes into account, and ends the block if it is long enough.
    pub(super) fn push(
        &mut self,
        line: &Line<'_>,
        count: impl FnOnce(&mut Account, &[u8]),
    ) -> Result<()> {
        self.put(line, count)?;
        self.lines += 1;
        if self.lines < LINES && self.block.len() < BYTES {
            return Ok(());
        }
        self.put(&Line::Check(self.account.check()), Account::line)?;
        self.seal()
    }

    fn put(&mut self, line: &Line<'_>, count: impl FnOnce(&mut Account, &[u8])) -> Result<()> {
        let begin = self.block.len();
        let written = line.write(&mut self.block);
        written.map_err(|error| self.failed(error.into()))?;
        count(&mut self.account, &self.block[begin..]);
        Ok(())
    }

    /// Writes the block.
    fn seal(&mut self) -> Result<()> {
        let written = match self.compressed {
            true => zstd::bulk::compress(&self.block, LEVEL)
                .and_then(|frame| self.file.write_all(&frame)),
            false => self.file.write_all(&self.block),
        };
        written.map_err(|error| self.failed(error))?;
        self.block.clear();
        self.lines = 0;
        Ok(())
    }

    /// Writes the last line, and waits until the disk has all of it.
    pub(super) fn finish(mut self) -> Result<Account> {
        self.put(&Line::End(self.account.end()), |_, _| {})?;
        self.seal()?;
        self.file.sync_all().map_err(|error| self.failed(error))?;
        Ok(self.account)
    }

    fn failed(&self, error: io::Error) -> Error {
        file_failed(format!("writing `{}`", self.name))(error.into())
    }
}

/// What is whole in a file that is there.
struct Found {
    header: Header,
    account: Account,
    last: Vec<u8>,
    /// The bytes up to the last check.
    end: u64,
    ended: bool,
}

impl Found {
    /// Reads up to the last check; nothing if no export has written more than a part of a header.
    fn read(file: &mut File, name: &str, compressed: bool) -> Result<Option<Self>> {
        let failed = |error: io::Error| file_failed(format!("reading `{name}`"))(error.into());
        let length = file.metadata().map_err(failed)?.len();
        let mut begin = Vec::new();
        let read = file.take(BEGIN.len() as u64).read_to_end(&mut begin);
        read.and_then(|_| file.rewind()).map_err(failed)?;
        let mut found: Option<Self> = None;
        // What is known of the lines since the last check.
        let mut ahead: Option<Account> = None;
        let mut last = Vec::new();
        let each = |line: &[u8], end: u64| -> Result<bool> {
            let parsed = serde_json::from_slice(line);
            let (Some(found), Some(account)) = (&mut found, &mut ahead) else {
                let Ok(Line::Log(header)) = parsed else {
                    return not_continuable(name, "it is there, and it is no export");
                };
                let account = Account::new(header.after);
                ahead = Some(account.clone());
                found = Some(Self {
                    header,
                    account,
                    last: Vec::new(),
                    end,
                    ended: false,
                });
                return Ok(true);
            };
            match parsed {
                Ok(Line::Event(event)) => {
                    account.event(line, event.position());
                    last.clear();
                    last.extend_from_slice(line);
                }
                Ok(Line::Command(command)) => match command.try_into() {
                    Ok(command) => account.command(line, command),
                    Err(_) => return Ok(false),
                },
                Ok(Line::Check(check)) if check == account.check() => {
                    account.line(line);
                    (found.account, found.end) = (account.clone(), end);
                    found.last.clone_from(&last);
                }
                Ok(Line::End(end)) if end == account.end() => found.ended = true,
                Ok(Line::Check(_) | Line::End(_)) => {
                    let why = "what is there was changed; take another file";
                    return not_continuable(name, why);
                }
                // The rest is torn.
                Ok(Line::Log(_)) | Err(_) => return Ok(false),
            }
            Ok(true)
        };
        let file = BufReader::with_capacity(1 << 18, file);
        blocks(file, compressed, each).map_err(failed)??;
        if found.is_none() && !is_torn_header(&begin, length, compressed) {
            return not_continuable(name, "it is there, and it is no export");
        }
        Ok(found)
    }

    /// Whether this export goes on with that file.
    fn continues(&self, name: &str, header: &Header) -> Result<()> {
        let Header {
            format,
            identity,
            after,
            previous,
            ..
        } = &self.header;
        if self.ended {
            let why = format!(
                "it is there already, complete up to position {}; take another file",
                self.header.head
            );
            return not_continuable(name, why);
        }
        if (format, identity, after, previous)
            != (
                &header.format,
                &header.identity,
                &header.after,
                &header.previous,
            )
        {
            let why = "it is there already, a part of another export; take another file";
            return not_continuable(name, why);
        }
        Ok(())
    }
}

/// Whether an export that was killed at its first line may have left this.
fn is_torn_header(begin: &[u8], length: u64, compressed: bool) -> bool {
    let ours = if compressed { &MAGIC[..] } else { BEGIN };
    length < HEADER && (ours.starts_with(begin) || begin.starts_with(ours))
}

fn not_continuable<T>(file: &str, why: impl Into<String>) -> Result<T> {
    Err(Error::new(Kind::NotContinuable {
        file: file.to_owned(),
        why: why.into(),
    }))
}

/// Hands over every whole line with the place in the file where its block ends, until a block is
/// torn or `each` has enough.
fn blocks(
    mut file: BufReader<&mut File>,
    compressed: bool,
    mut each: impl FnMut(&[u8], u64) -> Result<bool>,
) -> io::Result<Result<()>> {
    /// Longer than any block of ours.
    const LONGEST: u64 = 1 << 30;
    let mut block = Vec::new();
    loop {
        block.clear();
        if compressed {
            let frame = zstd::Decoder::with_buffer(file)?.single_frame();
            let mut frame = frame.take(LONGEST);
            if frame.read_to_end(&mut block).is_err() || frame.limit() == 0 {
                return Ok(Ok(()));
            }
            file = frame.into_inner().finish();
        } else {
            file.read_until(b'\n', &mut block)?;
        }
        let end = file.stream_position()?;
        if block.is_empty() {
            return Ok(Ok(()));
        }
        for line in block.split_inclusive(|byte| *byte == b'\n') {
            match line.ends_with(b"\n").then(|| each(line, end)) {
                Some(Ok(true)) => {}
                Some(Err(error)) => return Ok(Err(error)),
                Some(Ok(false)) | None => return Ok(Ok(())),
            }
        }
    }
}
