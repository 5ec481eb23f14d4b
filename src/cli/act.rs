//! Commands that are made from actions of the domain: the words, their help, the dry run and the reason.

use std::marker::PhantomData;

use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, Subcommand};
use serde_json::{Value, json};

use super::{Outcome, output};
use crate::app::operate::Operator;
use crate::domain::actions::About;

/// The actions of a noun, in the order of its help.
pub(super) trait Noun {
    const ACTIONS: &'static [&'static About];
}

/// One of them, as it was typed.
pub(super) struct Act<N> {
    about: &'static About,
    argument: String,
    reason: Option<String>,
    is_planned: bool,
    noun: PhantomData<N>,
}

const ARGUMENT: &str = "name";
const REASON: &str = "reason";
const PLAN: &str = "plan";

impl<N> Act<N> {
    /// Does it at the appliance, or says what it would do.
    pub(super) async fn run(self, operator: &Operator) -> Outcome {
        let about = self.about;
        let (before, after) = about.route.split_once('<').unwrap_or((about.route, ""));
        let after = after.split_once('>').map_or("", |(_, after)| after);
        let path = format!("{before}{}{after}", output::segment(&self.argument));
        if self.is_planned {
            let planned = operator.work(&format!("{path}?plan=1")).await?;
            for line in planned["plan"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                output::line(line);
            }
            return Ok(());
        }
        let (path, input) = match self.reason {
            Some(reason) if about.asks_programs => (path, Some(json!({ "reason": reason }))),
            Some(reason) => (format!("{path}?reason={}", output::segment(&reason)), None),
            None => (path, None),
        };
        let answer = output::working(verb(about), operator.work_with(&path, input)).await?;
        if answer.get("report").is_some() {
            let report = output::value(&answer, "report");
            output::line(if report.is_empty() { "nothing to do" } else { &report });
        }
        Ok(())
    }
}

/// The last of the words before the argument: `pause` of `loop pause <loop>`.
fn verb(about: &About) -> &'static str {
    about.command.split(' ').take_while(|word| !word.starts_with('<')).last().unwrap_or_default()
}

fn command(about: &'static About) -> Command {
    let noun = about.command.split(' ').next().unwrap_or_default();
    let reason = Arg::new(REASON).long(REASON).value_name("WHY").help("Why, for the audit log");
    let plan = Arg::new(PLAN).long(PLAN).action(ArgAction::SetTrue).help("Only say what it would do");
    Command::new(verb(about))
        .about(about.says.trim_end_matches('.'))
        .after_help(format!("Example:\n  keylender {noun} {} {}", verb(about), about.example))
        .arg(Arg::new(ARGUMENT).required(true).value_name("NAME").help(about.argument))
        .arg(if about.asks_programs { reason.required_unless_present(PLAN) } else { reason })
        .arg(plan)
}

impl<N: Noun> Subcommand for Act<N> {
    fn augment_subcommands(parent: Command) -> Command {
        N::ACTIONS.iter().fold(parent, |parent, about| parent.subcommand(command(about)))
    }

    fn augment_subcommands_for_update(parent: Command) -> Command {
        Self::augment_subcommands(parent)
    }

    fn has_subcommand(name: &str) -> bool {
        N::ACTIONS.iter().any(|about| verb(about) == name)
    }
}

impl<N: Noun> FromArgMatches for Act<N> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let missing = || Error::raw(clap::error::ErrorKind::MissingSubcommand, "a command is missing");
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let about = N::ACTIONS.iter().find(|about| verb(about) == name).ok_or_else(missing)?;
        Ok(Self {
            about,
            argument: matches.get_one::<String>(ARGUMENT).cloned().unwrap_or_default(),
            reason: matches.get_one::<String>(REASON).cloned(),
            is_planned: matches.get_flag(PLAN),
            noun: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
