//! The programs of the bank, as the tests run them.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const BEFORE: &str = env!("CARGO_BIN_EXE_bank-before");
pub(crate) const AFTER: &str = env!("CARGO_BIN_EXE_bank-after");

/// More than anything here takes, also on a machine with much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running release. Dropped, it is killed.
pub(crate) struct Bank {
    program: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Bank {
    /// Starts a program with its arguments: the database, and perhaps which release it is.
    pub(crate) fn start(program: &[&str]) -> Self {
        let mut program = Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = program.stdin.take();
        let from = BufReader::new(program.stdout.take().unwrap());
        let mut bank = Self { program, to, from };
        assert_eq!(bank.hears(), "started");
        bank
    }

    pub(crate) fn hears(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn told(&mut self, line: &str) -> String {
        self.is_told(line);
        self.hears()
    }

    /// Says a line, and does not wait for the answer.
    pub(crate) fn is_told(&mut self, line: &str) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }

    pub(crate) fn does(&mut self, line: &str) {
        let answer = self.told(line);
        assert!(answer.starts_with("done "), "{line}: {answer}");
    }

    /// Asks until the answer is such a one.
    pub(crate) fn until(&mut self, line: &str, beginning: &str) -> String {
        let start = Instant::now();
        loop {
            let answer = self.told(line);
            if answer.starts_with(beginning) {
                return answer;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "{line}: never {beginning}, but {answer}"
            );
        }
    }

    pub(crate) fn ends(mut self) -> String {
        drop(self.to.take());
        let answer = self.hears();
        assert!(self.program.wait().unwrap().success());
        answer
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.program.kill().ok();
        self.program.wait().ok();
    }
}
