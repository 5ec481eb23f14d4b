//! What a process that holds secrets does before anything else: it leaves no core dump, makes no file for others, and takes
//! no more memory than it uses.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};
use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

use crate::ports::system;

/// Nothing for the group and for others, whatever mode a file is made with.
const UMASK: u32 = 0o077;

/// What the process had from whoever started it, for a program that takes its place.
#[derive(Debug)]
pub struct Before {
    umask: Mode,
    core: Option<Rlimit>,
    small_pages: bool,
}

/// Turns core dumps off, also those by a debugger of the same user, and takes the rights to new files from others. Memory
/// comes in small pages: in pages of 2 MiB an appliance at rest takes nearly twice as much. What the system refuses of it
/// is left as it was: a command that cannot do it is still the command.
pub fn harden() -> Before {
    let core = system::limit(system::CORE);
    // The greater one stays, so that a program in our place can have its own again.
    if let Some(core) = core {
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..core });
    }
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let small_pages = transparent_huge_pages_are_disabled().unwrap_or(true);
    let _ = disable_transparent_huge_pages(true);
    Before { umask: umask(Mode::from_raw_mode(UMASK)), core, small_pages }
}

impl Before {
    /// Gives a program that takes our place what it would have had without us.
    pub fn restore(&self) {
        if let Some(core) = self.core {
            let _ = setrlimit(Resource::Core, core);
        }
        umask(self.umask);
        let _ = disable_transparent_huge_pages(self.small_pages);
    }
}

/// Lets this process open so many files, as far as its hard limit allows. Returns how many it may open now; `None` is
/// without a limit, or unknown.
pub fn allow_files(count: u64) -> Option<u64> {
    let limit = system::limit(system::OPEN_FILES)?;
    if limit.current.is_some_and(|current| current < count) {
        let wanted = limit.maximum.map_or(count, |maximum| maximum.min(count));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
    system::limit(system::OPEN_FILES)?.current
}
