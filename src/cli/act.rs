//! Commands that are made from actions of the domain: the words, their help, the dry run and the reason.

use std::marker::PhantomData;

use clap::error::{Error, ErrorKind};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use serde_json::Value;

use super::{Format, output};
use crate::app::operate::Operator;
use crate::base::Result;
use crate::domain::actions::About;

/// The actions of a noun, in the order of its help.
pub(super) trait Noun {
    const ACTIONS: &'static [&'static About];
}

/// Names a noun by its actions.
macro_rules! noun {
    ($noun:ident: $($action:expr),*) => {
        pub(super) struct $noun;

        impl $crate::cli::act::Noun for $noun {
            const ACTIONS: &'static [&'static $crate::domain::actions::About] = &[$(&$action.about),*];
        }
    };
}
pub(super) use noun;

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
    pub(super) plan: bool,
}

/// The same of one whose answer is printed.
#[derive(Args)]
pub(super) struct Printed {
    #[command(flatten)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) given: Given,
}

const ARGUMENT: &str = "name";

impl<N> Act<N> {
    /// Does it at the appliance, or says what it would do.
    pub(super) async fn run(self, operator: &Operator) -> Result<()> {
        let Some(answer) = run(operator, self.about, &[&self.argument], &self.given, None).await? else {
            return Ok(());
        };
        if answer.get("report").is_some() {
            let report = output::value(&answer, "report");
            output::line(if report.is_empty() { "nothing to do" } else { &report });
        }
        Ok(())
    }
}

/// The same for a command that is written by hand: its answer, or nothing when it only said what it would do.
pub(super) async fn run(
    operator: &Operator,
    about: &About,
    arguments: &[&str],
    given: &Given,
    input: Option<Value>,
) -> Result<Option<Value>> {
    let mut path = about.path().to_owned();
    for argument in arguments {
        if let Some((before, (_, after))) =
            path.split_once('<').and_then(|(before, rest)| Some((before, rest.split_once('>')?)))
        {
            path = format!("{before}{}{after}", output::segment(argument));
        }
    }
    run_at(operator, about, path, given, input).await
}

/// The same at a path, which may have a query.
pub(super) async fn run_at(
    operator: &Operator,
    about: &About,
    mut path: String,
    given: &Given,
    mut input: Option<Value>,
) -> Result<Option<Value>> {
    let joint = if path.contains('?') { '&' } else { '?' };
    match &given.reason {
        _ if given.plan => path = format!("{path}{joint}plan=1"),
        Some(reason) if about.asks_programs => input.get_or_insert_default()["reason"] = reason.as_str().into(),
        Some(reason) => path = format!("{path}{joint}reason={}", output::segment(reason)),
        None => {}
    }
    let answer = output::working(verb(about), operator.change(about.method(), &path, input)).await?;
    if !given.plan {
        return Ok(Some(answer));
    }
    for line in answer["plan"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::line(line);
    }
    Ok(None)
}

/// `pause` of `loop pause <loop>`.
fn verb(about: &About) -> &'static str {
    words(about).1
}

/// What stands before the first argument: the nouns, and the verb.
fn words(about: &About) -> (&'static str, &'static str) {
    let end = [" <", " -"].into_iter().filter_map(|start| about.command.find(start)).min();
    let words = &about.command[..end.unwrap_or(about.command.len())];
    words.rsplit_once(' ').unwrap_or(("", words))
}

fn command(about: &'static About) -> Command {
    let (noun, verb) = words(about);
    let (value_name, help) = about.argument;
    // What is said of it comes last: the options bring a sentence of their own along.
    let command = Given::augment_args(
        Command::new(verb).arg(Arg::new(ARGUMENT).required(true).value_name(value_name).help(help)),
    )
    .about(about.says.trim_end_matches('.'))
    .after_help(format!("Example:\n  keylender {noun} {verb} {}", about.example));
    if about.asks_programs { command.mut_arg("reason", asked) } else { command }
}

/// A reason that must be given unless it is only to be said what would be done.
pub(super) fn asked(reason: Arg) -> Arg {
    reason.required_unless_present("plan")
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
