//! Commands that are made from actions of the domain: the words, their help, the dry run and the reason.

use std::marker::PhantomData;

use clap::error::{Error, ErrorKind};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use serde_json::{Value, json};

use super::output;
use crate::app::operate::Operator;
use crate::base::Result;
use crate::domain::actions::About;

/// The actions of a noun, in the order of its help.
pub(super) trait Noun {
    const ACTIONS: &'static [&'static About];
}

/// One of them, as it was typed.
pub(super) struct Act<N> {
    about: &'static About,
    argument: String,
    given: Given,
    noun: PhantomData<N>,
}

/// What every action may be given.
#[derive(Args)]
pub(super) struct Given {
    /// Why, for the audit log
    #[arg(long, value_name = "WHY")]
    reason: Option<String>,
    /// Only say what it would do
    #[arg(long)]
    plan: bool,
}

const ARGUMENT: &str = "name";

impl<N> Act<N> {
    /// Does it at the appliance, or says what it would do.
    pub(super) async fn run(self, operator: &Operator) -> Result<()> {
        run(operator, self.about, &self.argument, &self.given).await
    }
}

/// The same for a command that is written by hand.
pub(super) async fn run(operator: &Operator, about: &About, argument: &str, given: &Given) -> Result<()> {
    let (before, after) = about.route.split_once('<').unwrap_or((about.route, ""));
    let after = after.split_once('>').map_or("", |(_, after)| after);
    let path = format!("{before}{}{after}", output::segment(argument));
    let (path, input) = match &given.reason {
        _ if given.plan => (format!("{path}?plan=1"), None),
        Some(reason) if about.asks_programs => (path, Some(json!({ "reason": reason }))),
        Some(reason) => (format!("{path}?reason={}", output::segment(reason)), None),
        None => (path, None),
    };
    let answer = output::working(verb(about), operator.change(about.method, &path, input)).await?;
    for line in answer["plan"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::line(line);
    }
    if answer.get("report").is_some() {
        let report = output::value(&answer, "report");
        output::line(if report.is_empty() { "nothing to do" } else { &report });
    }
    Ok(())
}

/// The last of the words before the argument: `pause` of `loop pause <loop>`.
fn verb(about: &About) -> &'static str {
    about.command.split(' ').take_while(|word| !word.starts_with('<')).last().unwrap_or_default()
}

fn command(about: &'static About) -> Command {
    let noun = about.command.split(' ').next().unwrap_or_default();
    let (value_name, help) = about.argument;
    let argument = Arg::new(ARGUMENT).required(true).value_name(value_name).help(help);
    // What is said of it comes last: the options bring a sentence of their own along.
    let command = Given::augment_args(Command::new(verb(about)).arg(argument))
        .about(about.says.trim_end_matches('.'))
        .after_help(format!("Example:\n  keylender {noun} {} {}", verb(about), about.example));
    if about.asks_programs {
        command.mut_arg("reason", |reason| reason.required_unless_present("plan"))
    } else {
        command
    }
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
    fn from_arg_matches(matches: &ArgMatches) -> clap::error::Result<Self> {
        let missing = || Error::raw(ErrorKind::MissingSubcommand, "a command is missing");
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let about = N::ACTIONS.iter().find(|about| verb(about) == name).ok_or_else(missing)?;
        Ok(Self {
            about,
            argument: matches.get_one::<String>(ARGUMENT).cloned().unwrap_or_default(),
            given: Given::from_arg_matches(matches)?,
            noun: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> clap::error::Result<()> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
