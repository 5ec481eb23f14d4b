//! A file of hosts that only this process and those that it starts see.

use std::io;
use std::path::Path;

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

/// The file that names are looked up in.
pub const HOSTS: &str = "/etc/hosts";

/// Puts a file in the place of the system's, for this process and whatever it becomes. Needs the right to mount.
///
/// Only for a process of one thread: another one would go on seeing the system's.
pub fn see(hosts: &Path) -> io::Result<()> {
    #[expect(deprecated, reason = "what is unsafe of it is a table of open files of its own, which is not asked for")]
    rustix::thread::unshare(UnshareFlags::NEWNS)?;
    // Nothing of what follows goes back to the host.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    Ok(mount_bind(hosts, HOSTS)?)
}

/// Ends this process, and what it becomes, when the one that started it does. False when that one is gone already.
pub fn die_with(parent: u32) -> bool {
    let is_set = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    is_set && getppid().map(Pid::as_raw_nonzero).is_some_and(|own| u32::try_from(own.get()) == Ok(parent))
}
