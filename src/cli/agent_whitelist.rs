//! `keylender agent whitelist`: whom the scheduler of the fleet admits.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::act::{self, Given};
use super::{Format, Outcome, output};
use crate::app::operate::Operator;
use crate::base::{Error, Result};
use crate::domain::actions::agents::{ADMIT, REPLACE, STRIKE};
use crate::domain::actions::fleet::OVERWRITE;
use crate::proto::whitelist::FILE_LEN_MAX;

#[derive(Subcommand)]
pub(super) enum Whitelist {
    /// Prints the list as the scheduler should have it
    #[command(after_help = "Example:\n  keylender agent whitelist show")]
    Show(Format),
    /// Says which line admits an agent; ends with 1 when none does
    #[command(after_help = "Example:\n  keylender agent whitelist check linux.web1.example.net.dn0j5d3ugjk0")]
    Check {
        /// The name of its queue without `mig.agt.`
        queueloc: String,
        #[command(flatten)]
        format: Format,
    },
    /// Adds lines: names of queues without `mig.agt.`, or patterns of Go behind `re:`
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender agent whitelist add 're:linux\\.web[0-9]+\\.example\\.net\\..*' --reason 'the web servers'"
    )]
    Add {
        /// The lines, as they stand in the file
        #[arg(required = true)]
        lines: Vec<String>,
        #[command(flatten)]
        given: Given,
    },
    /// Removes lines
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender agent whitelist remove linux.web1.example.net.dn0j5d3ugjk0 --reason 'it is gone'"
    )]
    Remove {
        /// The lines, as they stand in the list
        #[arg(required = true)]
        lines: Vec<String>,
        #[command(flatten)]
        given: Given,
    },
    /// Shows what a file has otherwise, such as one that was edited by hand; ends with 1 when it differs
    #[command(after_help = "Example:\n  keylender agent whitelist compare /var/cache/mig/agents_whitelist.txt")]
    Compare {
        /// The file
        file: PathBuf,
    },
    /// Makes the list what a file has
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender agent whitelist store /var/cache/mig/agents_whitelist.txt --reason 'edited by hand'"
    )]
    Store {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        given: Given,
    },
    /// Writes the scheduler's file on this host anew, over what somebody else wrote into it
    #[command(
        mut_arg("reason", act::asked),
        after_help = "Example:\n  keylender agent whitelist overwrite --reason 'edited by mistake'"
    )]
    Overwrite(Given),
}

pub(super) async fn run(command: Whitelist, operator: &Operator) -> Outcome {
    match command {
        Whitelist::Show(format) => {
            let list = operator.call("GET", "/agents/whitelist", None).await?;
            if format.json { output::json(&list) } else { show(&list) }
        }
        Whitelist::Check { queueloc, format } => {
            let path = format!("/agents/whitelist/check?queueloc={}", output::segment(&queueloc));
            let checked = operator.call("GET", &path, None).await?;
            let is_admitted = checked["admitted"] == true;
            if format.json {
                output::json(&checked);
            } else if is_admitted {
                output::line(&output::text(&checked, "line"));
            }
            if !is_admitted {
                return Err(Error::not_found("no line of the whitelist admits this agent").into());
            }
        }
        Whitelist::Add { lines, given } => {
            act::run(operator, &ADMIT.about, &[], &given, Some(json!({ "lines": lines }))).await?;
        }
        Whitelist::Remove { lines, given } => {
            act::run(operator, &STRIKE.about, &[], &given, Some(json!({ "lines": lines }))).await?;
        }
        Whitelist::Overwrite(given) => {
            act::run(operator, &OVERWRITE.about, &[], &given, None).await?;
        }
        Whitelist::Compare { file } => return compare(operator, &file).await,
        Whitelist::Store { file, given } => {
            let text = read(&file)?;
            act::run(operator, &REPLACE.about, &[], &given, Some(json!({ "text": text }))).await?;
        }
    }
    Ok(())
}

fn show(list: &Value) {
    output::line(output::value(list, "text").trim_end_matches('\n'));
    for warning in list["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::remark(warning);
    }
}

async fn compare(operator: &Operator, file: &Path) -> Outcome {
    let text = read(file)?;
    let list = operator.call("GET", "/agents/whitelist", None).await?;
    let wanted = output::value(&list, "text");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (there, here) = (lines(&text), lines(&wanted));
    // Whoever edited the file may have written anything.
    let shown = |line: &String| output::text(&json!({ "line": line }), "line");
    there.difference(&here).for_each(|line| output::line(&format!("only there  {}", shown(line))));
    here.difference(&there).for_each(|line| output::line(&format!("only here   {}", shown(line))));
    if there == here { Ok(()) } else { Err(Error::conflict("the file is not what the whitelist has").into()) }
}

fn read(file: &Path) -> Result<String> {
    let unreadable = |error| Error::invalid("the file cannot be read").because(error);
    let bytes = std::fs::read(file).map_err(unreadable)?;
    if bytes.len() > FILE_LEN_MAX {
        return Err(Error::invalid(format!("a whitelist has at most {FILE_LEN_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("a whitelist is UTF-8"))
}
