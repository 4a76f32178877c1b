//! What processes beside this one do.

use tokio::runtime::Runtime;

use crate::child::{answer, number};
use crate::{rebuild, visible};

/// Does the job until the parent closes the line.
pub(crate) fn run(job: &str) {
    let runtime = Runtime::new().expect("a runtime");
    match job.split(' ').collect::<Vec<_>>()[..] {
        ["rebuild", url] => {
            answer(|events| runtime.block_on(rebuild::grown(url, number(events))));
        }
        ["see-ours", url] => runtime.block_on(visible::ours(url)),
        ["see-bare", url] => runtime.block_on(visible::bare(url)),
        _ => panic!("`{job}` is no job"),
    }
}
