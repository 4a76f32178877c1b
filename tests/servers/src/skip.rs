use std::env;
use std::fs::File;
use std::io::Write;
use std::thread;

/// Says that this machine cannot do what the test needs, and counts it: a line of the file that
/// `ES_SKIPPED` names, if it does. Nothing is skipped unseen.
///
/// # Panics
/// When the file cannot be written.
pub fn skip(why: &str) {
    let test = thread::current();
    let test = test.name().unwrap_or("a test");
    println!("skipped {test}: {why}");
    if let Some(path) = env::var_os("ES_SKIPPED") {
        let file = File::options().append(true).create(true).open(path);
        writeln!(file.expect("the file of skips"), "{test}: {why}").expect("a line of it");
    }
}
