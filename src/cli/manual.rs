//! `keylender man`, `keylender completion`: what a package installs beside the program, made from the commands themselves.
//! They need no settings.

use std::io;
use std::path::PathBuf;

use clap::{Command, Subcommand};
use clap_complete::Shell;

use super::Outcome;
use crate::base::Error;

#[derive(Subcommand)]
pub(super) enum Manual {
    /// Writes the manual pages, one for each command
    #[command(after_help = "Example:\n  keylender man /usr/share/man/man1")]
    Man {
        /// An existing directory
        directory: PathBuf,
    },
    /// Prints completions for a shell
    #[command(after_help = "Example:\n  keylender completion bash >/etc/bash_completion.d/keylender")]
    Completion {
        /// Whose
        shell: Shell,
    },
}

pub(super) fn run(manual: &Manual, mut command: Command) -> Outcome {
    match manual {
        Manual::Man { directory } => {
            let written = clap_mangen::generate_to(command, directory);
            written.map_err(|error| Error::internal("writing the manual pages", error))?;
        }
        Manual::Completion { shell } => clap_complete::generate(*shell, &mut command, "keylender", &mut io::stdout()),
    }
    Ok(())
}
