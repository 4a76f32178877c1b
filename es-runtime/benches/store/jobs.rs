//! What processes beside this one do.

use tokio::runtime::{Builder, Runtime};

use crate::child::{answer, number};
use crate::{latency, processes};

/// Does the job until the parent closes the line.
pub(crate) fn run(job: &str) {
    let words: Vec<_> = job.split(' ').collect();
    let runtime = match words[0] {
        // What a service has.
        "append-ours" | "follow-ours" => Runtime::new(),
        // What costs least.
        _ => Builder::new_current_thread().enable_all().build(),
    };
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    match words[..] {
        ["append-ours", url, first, writers] => {
            let job = processes::ours(url, number(first), number(writers));
            let mut ours = runtime.block_on(job);
            answer(|line| runtime.block_on(processes::round(&mut ours, line)));
        }
        ["append-raw", url, first, writers] => {
            let job = processes::raw(url, number(first), number(writers));
            let mut raw = runtime.block_on(job);
            answer(|line| runtime.block_on(processes::round(&mut raw, line)));
        }
        ["follow-ours", url] => {
            let mut follower = runtime.block_on(latency::Ours::new(url));
            answer(|line| runtime.block_on(follower.follow(number(line))));
        }
        ["follow-bare", url] => {
            let mut follower = runtime.block_on(latency::Bare::new(url));
            answer(|line| runtime.block_on(follower.follow(number(line))));
        }
        _ => panic!("`{job}` is no job"),
    }
}
