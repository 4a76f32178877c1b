//! The pages about production, run from their first command to their last: what a page shows is what the programs print, but for times and names. `ES_OVERWRITE=1` writes what
//! they print into the page.
#![cfg(unix)]

#[path = "../../../es-runtime/tests/mask/mod.rs"]
mod mask;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mask::mask;

/// Stands for lines of the output that the page leaves out.
const LEFT_OUT: &str = "…";
/// The last line of a bank that has started.
const UP: &str = "Ctrl-C stops it.";
/// Several heartbeats.
const PATIENCE: Duration = Duration::from_secs(15);
/// What a reader types to stop what runs in a terminal.
const CTRL_C: &str = "^C";

/// A command with the output that the page shows.
struct Shown {
    command: String,
    output: String,
}

/// A block of the page: what happens in one terminal.
struct Block {
    /// Of a terminal in which something goes on running, its name.
    terminal: Option<String>,
    commands: Vec<Shown>,
    /// The lines of the page that it takes, without its fences.
    lines: std::ops::Range<usize>,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(fence), None) if fence.starts_with("console") => {
                let terminal = fence.split_once(',').map(|(_, name)| name.to_owned());
                let (commands, lines) = (Vec::new(), number + 1..number + 1);
                open = Some(Block {
                    terminal,
                    commands,
                    lines,
                });
            }
            (Some(_), Some(block)) => {
                block.lines.end = number;
                blocks.extend(open.take());
            }
            (None, Some(block)) => {
                let command = line
                    .strip_prefix("$ ")
                    .or((line == CTRL_C).then_some(CTRL_C));
                match (command, block.commands.last_mut()) {
                    (Some(command), _) => block.commands.push(Shown {
                        command: command.to_owned(),
                        output: String::new(),
                    }),
                    (None, Some(last)) => last.output += &format!("{line}\n"),
                    (None, None) => panic!("line {number} is the output of no command"),
                }
            }
            _ => {}
        }
    }
    blocks
}

/// A folder in which the page's commands run, and what runs in the other terminals.
struct Terminals {
    folder: tempfile::TempDir,
    running: BTreeMap<String, (Child, BufReader<ChildStdout>)>,
}

impl Terminals {
    fn shell(&self, command: &str) -> Command {
        let bank = Path::new(env!("CARGO_BIN_EXE_bank")).parent().unwrap();
        let path = env::join_paths(
            [bank.to_owned()]
                .into_iter()
                .chain(env::split_paths(&env::var_os("PATH").unwrap())),
        );
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &format!("exec 2>&1; {command}")])
            .env("PATH", path.unwrap())
            .envs([("USER", "anna"), ("HOSTNAME", "desk")])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        shell
    }

    /// Runs a command to its end. One that is refused fails, and no other does. One that only looks
    /// may look again: instances tell who reads what with their heartbeat.
    fn run(&self, command: &str, shown: &str) -> String {
        let looks = [
            "bank projections list",
            "bank projections show",
            "bank streams list",
            "bank streams show",
            "bank streams consumers",
        ];
        let looks = looks.iter().any(|look| command.starts_with(look));
        let began = Instant::now();
        loop {
            let output = self.shell(command).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let refused = text.starts_with("projections: ") || text.starts_with("streams: ");
            assert_eq!(output.status.success(), !refused, "{command}\n{text}");
            if is_shown(&text, shown) || !looks || began.elapsed() > PATIENCE {
                return text;
            }
            sleep(Duration::from_millis(200));
        }
    }

    /// Starts a bank, and answers what it prints until it is up.
    fn start(&mut self, terminal: &str, command: &str) -> String {
        let mut child = self.shell(&format!("exec {command}")).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.ends_with(&format!("{UP}\n")) {
            let read = out.read_line(&mut text).unwrap();
            assert!(read > 0, "{command} ended:\n{text}");
        }
        self.running.insert(terminal.to_owned(), (child, out));
        text
    }

    /// Stops what runs in a terminal, in order.
    fn stop(&mut self, terminal: &str) -> String {
        let (mut child, mut out) = self.running.remove(terminal).unwrap();
        let pid = child.id().to_string();
        let asked = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(asked.success());
        let mut text = String::new();
        while out.read_line(&mut text).unwrap() > 0 {}
        assert!(child.wait().unwrap().success(), "{text}");
        text
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        for (child, _) in self.running.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Whether the output is what the page shows, but for what it leaves out.
fn is_shown(output: &str, shown: &str) -> bool {
    let (output, shown) = (mask(output), mask(shown));
    let mut rest: &[&str] = &output.lines().collect::<Vec<_>>();
    let mut left_out = false;
    for line in shown.lines() {
        if line.trim() == LEFT_OUT {
            left_out = true;
            continue;
        }
        let Some(at) = rest.iter().position(|other| *other == line) else {
            return false;
        };
        if at > 0 && !left_out {
            return false;
        }
        (rest, left_out) = (&rest[at + 1..], false);
    }
    rest.is_empty() || left_out
}

/// The output as the page is to show it: what it left out before, it leaves out.
fn to_show(output: &str, shown: &str) -> String {
    let mut lines = shown.lines();
    match shown.lines().any(|line| line.trim() == LEFT_OUT) {
        false => output.to_owned(),
        // The first line, and the last.
        true => {
            let first = lines.next().filter(|line| line.trim() != LEFT_OUT);
            let first = first.and_then(|_| output.lines().next());
            let last = lines.next_back().filter(|line| line.trim() != LEFT_OUT);
            let last = last.and_then(|_| output.lines().next_back());
            let lines = [first, Some(LEFT_OUT), last].into_iter().flatten();
            lines.map(|line| format!("{line}\n")).collect()
        }
    }
}

/// One after the other: both banks would listen where it is usual.
#[test]
fn the_pages_show_what_happens() {
    shows_what_happens("docs/tutorial/9-in-production.md");
    shows_what_happens("docs/tutorial/10-a-stream-in-production.md");
    shows_what_happens("docs/tutorial/11-a-transfer.md");
}

fn shows_what_happens(page: &str) {
    let name = page;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let path: PathBuf = root.unwrap().join(page);
    let page = fs::read_to_string(&path).unwrap();
    let mut terminals = Terminals {
        folder: tempfile::tempdir().unwrap(),
        running: BTreeMap::new(),
    };
    let (mut lines, mut differs) = (page.lines().map(str::to_owned).collect::<Vec<_>>(), false);
    let mut happened = Vec::new();
    for block in blocks(&page) {
        let mut text = String::new();
        for Shown { command, output } in &block.commands {
            let printed = match &block.terminal {
                Some(terminal) if command == CTRL_C => terminals.stop(terminal),
                Some(terminal) => terminals.start(terminal, command),
                None => terminals.run(command, output),
            };
            let prompt = if command == CTRL_C { "" } else { "$ " };
            if !is_shown(&printed, output) {
                differs = true;
                println!("{prompt}{command}\n{printed}\n— but the page shows\n{output}");
            }
            text += &format!("{prompt}{command}\n{}", to_show(&printed, output));
        }
        happened.push((block.lines, text));
    }
    assert!(terminals.running.is_empty(), "something is still running");
    assert!(happened.len() > 2, "{} blocks", happened.len());
    if env::var_os("ES_OVERWRITE").is_some() {
        for (range, text) in happened.into_iter().rev() {
            lines.splice(range, text.lines().map(str::to_owned));
        }
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    assert!(
        !differs,
        "{name} shows something else; ES_OVERWRITE=1 writes what happens"
    );
}

#[test]
fn only_what_is_left_out_may_be_missing() {
    for (output, shown, is) in [
        ("a\nb\nc\n", "a\nb\nc\n", true),
        ("a\nb\nc\n", "a\n…\n", true),
        ("a\nb\nc\n", "…\nc\n", true),
        ("a\nb\nc\n", "a\n…\nc\n", true),
        ("a\nb\nc\n", "a\nc\n", false),
        ("a\nb\nc\n", "a\nb\n", false),
        ("a\nb\nc\n", "…\nd\n", false),
        ("", "a\n", false),
        ("a\n", "", false),
    ] {
        assert_eq!(is_shown(output, shown), is, "{output} {shown}");
    }
}
