//! Other processes: this binary runs itself again with a job in the environment. Parent and child
//! speak in lines: the parent says what to do, the child answers with what it measured.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

/// What the child does.
pub(crate) const JOB: &str = "ES_BENCH_CHILD";

/// A process beside this one. Dropped, it ends.
pub(crate) struct Child {
    process: Process,
    /// Closed, it tells the child to end.
    ask: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a process with a job, and waits until it is ready.
    pub(crate) fn start(job: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .env(JOB, job)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program again");
        let answers = process.stdout.take().expect("its answers");
        let mut child = Self {
            ask: process.stdin.take(),
            answers: BufReader::new(answers).lines(),
            process,
        };
        assert_eq!(child.hear(), "ready");
        child
    }

    pub(crate) fn tell(&mut self, what: &str) {
        let ask = self.ask.as_mut().expect("open until dropped");
        writeln!(ask, "{what}").expect("a child that listens");
    }

    pub(crate) fn hear(&mut self) -> String {
        let answer = self.answers.next();
        let answer = answer.expect("a child that answers: see its error above");
        answer.expect("an answer")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.ask.take();
        self.process.wait().ok();
    }
}

pub(crate) fn number(word: &str) -> usize {
    word.parse().expect("a number")
}

/// Answers each line of the parent's, until it closes the line.
pub(crate) fn answer(mut answer: impl FnMut(&str) -> String) {
    println!("ready");
    for line in std::io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}
