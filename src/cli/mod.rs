//! Subcommands: what a person types. The only readers of argv and stdin.

// What is printed goes through `output`, which makes the texts of others harmless.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod act;
mod agent;
mod agent_whitelist;
mod alarm;
mod archive;
mod audit;
mod backup;
mod broker;
mod claim;
mod client;
mod config;
mod connection;
mod doctor;
mod export;
mod host;
mod key;
mod lease;
mod loops;
mod manual;
mod namespace;
mod operator;
mod output;
mod ping;
mod proxy;
mod queue;
mod queue_rule;
mod relay;
mod relay_reach;
mod relay_recipe;
mod relay_render;
mod role;
mod serve;
mod services;
mod services_operate;
mod services_payload;
mod services_run;

use std::ffi::OsString;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app::hardening::{self, Before};
use crate::app::settings::{self, Loaded, Sources};
use crate::base::{Clock, Error, Kind, Span, Timestamp};
use crate::proto::formats;
use crate::store::OPENER;

/// It failed.
const FAILED: u8 = 1;
/// The command or a setting is wrong.
const WRONG_USAGE: u8 = 2;
/// It was refused.
const REFUSED: u8 = 3;

/// Lends short-lived, scoped credentials to services, machines, tasks and fleet agents.
#[derive(Parser)]
#[command(name = "keylender", version, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Settings come from flags, the environment and a file: see `keylender config`.\n\nExample:\n  \
                        keylender serve --port 8080 --data-dir ./data")]
struct Cli {
    #[command(subcommand)]
    command: Commands,
    /// Settings file [default: /etc/keylender.conf if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Commands {
    #[command(flatten)]
    OfAppliance(ApplianceCommand),
    #[command(flatten)]
    OfProgram(manual::Manual),
}

/// What works with an appliance, and needs the settings of this host.
#[derive(Subcommand)]
enum ApplianceCommand {
    /// Runs the appliance
    #[command(after_help = "Example:\n  export RABBIT_BASE_URL=http://localhost:15672/api\n  \
                            RABBIT_USERNAME=guest RABBIT_PASSWORD=guest keylender serve")]
    Serve,
    /// Shows the effective value of every setting and where it comes from
    #[command(after_help = "Example:\n  keylender config --config /etc/keylender.conf")]
    Config(config::Config),
    /// Asks whether the appliance of this host answers; for init scripts and the health checks of containers
    #[command(after_help = "Example:\n  keylender ping --config /etc/keylender.conf")]
    Ping,
    /// Checks that everything is set up so that it will work; each finding says what to do
    #[command(after_help = "Example:\n  keylender doctor --install")]
    Doctor(doctor::Doctor),
    /// What needs somebody, and noting that somebody has seen it
    #[command(subcommand, after_help = "Example:\n  keylender alarm list")]
    Alarm(alarm::Alarm),
    /// Manages API clients in the own store
    #[command(
        subcommand,
        after_help = "Example:\n  keylender client create builds --scope 'pulse:namespace:taskcluster-*'"
    )]
    Client(client::Client),
    /// Manages roles of the own store, which stand for scopes
    #[command(
        subcommand,
        after_help = "Example:\n  keylender role create 'pulse-user:*' --scope 'pulse:namespace:<..>'"
    )]
    Role(role::Role),
    /// Claims a namespace as a client would and prints the connection string
    #[command(after_help = claim::EXAMPLES)]
    Claim(claim::Claim),
    /// Everything that is lent now, and taking it back
    #[command(subcommand, after_help = "Example:\n  keylender lease list --holder builds")]
    Lease(lease::Lease),
    /// Shows, rotates and removes namespaces
    #[command(subcommand, after_help = "Example:\n  keylender namespace show taskcluster-builds")]
    Namespace(namespace::Namespace),
    /// Shows the broker, and replaces the administrator that Keylender is to it
    #[command(subcommand, after_help = "Example:\n  keylender broker show")]
    Broker(broker::Broker),
    /// The agents of a fleet, and whom its scheduler admits
    #[command(subcommand, after_help = "Example:\n  keylender agent whitelist show")]
    Agent(agent::Agent),
    /// Declares what a platform of fixed programs needs on the broker, and applies it
    #[command(subcommand, after_help = "Example:\n  keylender relay plan")]
    Relay(relay::Relay),
    /// The task proxy: sessions of the appliance, or with options the proxy itself, alone, for one task
    #[command(
        subcommand,
        after_help = "Examples:\n  keylender proxy session list\n  keylender proxy --root-url https://tc.example.com \
                      --from-file credentials.json --port 8080 queue:get-artifact:private/x\n\nOptions of the proxy alone are \
                      those of taskcluster-proxy, or with --relengapi-token of relengapi-proxy: a link of that name \
                      lists them with --help"
    )]
    Proxy(proxy::Proxy),
    /// Containers beside a task, as its payload names them, with sessions of the task proxy
    #[command(
        subcommand,
        after_help = "Example:\n  keylender services run payload.json --provisioner aws --worker-type builder -- ./task.sh"
    )]
    Services(services::Services),
    /// Shows and runs the loops that run by themselves
    #[command(subcommand, after_help = "Example:\n  keylender loop plan rotate")]
    Loop(loops::Loop),
    /// Rules for queues, and where a queue is going
    #[command(subcommand, after_help = "Example:\n  keylender queue rules")]
    Queue(queue::Queue),
    /// Connections, exchanges and bindings of namespaces at the broker
    #[command(subcommand, after_help = "Example:\n  keylender connection list")]
    Connection(connection::Connection),
    /// Machines that ask for credentials: why they got what they got, and which may not
    #[command(subcommand, after_help = "Example:\n  keylender host check 10.1.2.3")]
    Host(host::Host),
    /// People who use the console
    #[command(subcommand, after_help = "Example:\n  keylender operator create ada --role admin")]
    Operator(operator::Operator),
    /// Shows and checks the audit log
    #[command(subcommand, after_help = "Example:\n  keylender audit verify")]
    Audit(audit::Audit),
    /// Takes, lists and checks backups of the store
    #[command(subcommand, after_help = "Example:\n  keylender backup now")]
    Backup(backup::Backup),
    /// Makes the store of a backup in the data directory, which must have none
    #[command(after_help = "Example:\n  keylender restore /mnt/copy/keylender-20261121T030000.000Z.backup")]
    Restore(backup::Restore),
    /// The key that seals secrets at rest
    #[command(subcommand, after_help = "Example:\n  keylender key rotate")]
    Key(key::Key),
}

/// How a command prints.
#[derive(Args)]
struct Format {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why a command ended without success.
enum Failure {
    /// With an error of ours.
    Error(Error),
    /// With problems in the settings.
    Settings(settings::Problems),
    /// With the exit code of something that was run, which said itself what there is to say.
    Code(u8),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<settings::Problems> for Failure {
    fn from(problems: settings::Problems) -> Self {
        Self::Settings(problems)
    }
}

type Outcome = Result<(), Failure>;

/// Runs the program with these arguments, the first of which is its own name.
///
/// By the name of one of the task proxies that came before, it is that one.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    if let Some(ancestor) = arguments.peek().and_then(|name| proxy::called_as(name)) {
        return proxy::run(ancestor, arguments.skip(1));
    }
    let arguments: Vec<OsString> = arguments.collect();
    if let [name, rest @ ..] = &arguments[..]
        && name == services_run::TASK
    {
        return services_run::become_task(rest);
    }
    if let [_, command, rest @ ..] = &arguments[..]
        && command == "proxy"
        && let Some(ancestor) = proxy::meant_by(rest)
    {
        return proxy::run(ancestor, rest.iter().cloned());
    }
    let before = Arc::new(hardening::harden());
    leave_damage_to_its_sentence();
    let matches = with_settings(Cli::command()).get_matches_from(arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Failure::Error(Error::internal("starting the runtime", error))),
    };
    let outcome = runtime.block_on(run(cli.command, flags(&matches), cli.config, before));
    // A command that waits for a thread of its own (a name look-up) must not keep the person waiting.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

/// Keeps what a panic says to itself where the store answers it with a sentence.
fn leave_damage_to_its_sentence() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name() != Some(OPENER) {
            print(panic);
        }
    }));
}

async fn run(
    command: Commands,
    flags: Vec<(String, String)>,
    config_file: Option<PathBuf>,
    before: Arc<Before>,
) -> Outcome {
    let command = match command {
        // What holds on this host may be what is wrong.
        Commands::OfAppliance(ApplianceCommand::Config(config)) if config.template => return config::template(),
        Commands::OfAppliance(ApplianceCommand::Relay(command)) => match relay::offline(&command) {
            Some(outcome) => return outcome,
            None => ApplianceCommand::Relay(command),
        },
        Commands::OfAppliance(ApplianceCommand::Proxy(command)) => match proxy::offline(&command) {
            Some(outcome) => return outcome,
            None => ApplianceCommand::Proxy(command),
        },
        Commands::OfAppliance(ApplianceCommand::Services(command)) => match services::offline(&command) {
            Some(outcome) => return outcome,
            None => ApplianceCommand::Services(command),
        },
        Commands::OfAppliance(command) => command,
        Commands::OfProgram(command) => return manual::run(&command, with_listed_settings(Cli::command())),
    };
    let sources = Sources::of_this_process(flags, config_file);
    let Loaded { settings, warnings } = settings::load(&sources)?;
    match command {
        ApplianceCommand::Serve => serve::run(&settings, &warnings).await,
        ApplianceCommand::Config(command) => config::run(&command, &settings.effective, &warnings),
        ApplianceCommand::Ping => ping::run(&settings).await,
        ApplianceCommand::Doctor(command) => doctor::run(&command, &settings).await,
        ApplianceCommand::Alarm(command) => alarm::run(command, &settings).await,
        ApplianceCommand::Host(command) => host::run(command, &settings).await,
        ApplianceCommand::Client(command) => client::run(command, &settings).await,
        ApplianceCommand::Role(command) => role::run(command, &settings).await,
        ApplianceCommand::Claim(command) => claim::run(command, &settings, &sources.environment, &before).await,
        ApplianceCommand::Lease(command) => lease::run(command, &settings).await,
        ApplianceCommand::Namespace(command) => namespace::run(command, &settings).await,
        ApplianceCommand::Broker(command) => broker::run(command, &settings).await,
        ApplianceCommand::Agent(command) => agent::run(command, &settings).await,
        ApplianceCommand::Relay(command) => relay::run(command, &settings).await,
        ApplianceCommand::Proxy(command) => proxy::operate(command, &settings).await,
        ApplianceCommand::Services(command) => services::run(command, &settings, before).await,
        ApplianceCommand::Loop(command) => loops::run(command, &settings).await,
        ApplianceCommand::Queue(command) => queue::run(command, &settings).await,
        ApplianceCommand::Connection(command) => connection::run(command, &settings).await,
        ApplianceCommand::Operator(command) => operator::run(command, &settings).await,
        ApplianceCommand::Audit(command) => audit::run(command, &settings).await,
        ApplianceCommand::Backup(command) => backup::run(command, &settings).await,
        ApplianceCommand::Restore(command) => backup::restore(&command, &settings).await,
        ApplianceCommand::Key(command) => key::run(command, &settings).await,
    }
}

/// Adds a flag for every setting to a command, and to those below it once they are called: for all of them the flags are
/// megabytes, which an appliance would hold for good.
fn with_settings(command: Command) -> Command {
    let flags = setting_flags(&command);
    command.args(flags).mut_subcommands(|below| below.defer(with_settings))
}

/// The same only where the help lists them: a hundred flags at each command would help nobody who reads or completes.
fn with_listed_settings(command: Command) -> Command {
    let flags = if lists_settings(&command) { setting_flags(&command) } else { Vec::new() };
    command.args(flags).mut_subcommands(with_listed_settings)
}

/// Only the help of the program and of `serve` lists the settings.
fn lists_settings(command: &Command) -> bool {
    matches!(command.get_name(), "keylender" | "serve")
}

/// A flag for every setting, except where the command has a flag of that name itself (`claim --env`).
fn setting_flags(command: &Command) -> Vec<Arg> {
    let taken: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
    let free = settings::flags().filter(|flag| !taken.contains(&long_name(flag)));
    let argument = |flag: settings::Flag| {
        let argument = Arg::new(flag.name)
            .long(long_name(&flag))
            .value_name(if flag.switch { "BOOL" } else { "VALUE" })
            .help(format!("{} [{}]", flag.help, flag.name))
            .help_heading("Settings")
            .hide_short_help(true)
            .hide_long_help(!lists_settings(command))
            .allow_hyphen_values(true);
        if flag.switch { argument.num_args(0..=1).default_missing_value("true").require_equals(true) } else { argument }
    };
    free.map(argument).collect()
}

fn long_name(flag: &settings::Flag) -> &'static str {
    flag.flag.trim_start_matches("--")
}

/// The flags given before and after the names of the commands; the last one counts.
fn flags(matches: &ArgMatches) -> Vec<(String, String)> {
    let given = |flag: settings::Flag| {
        let value = matches.try_get_one::<String>(flag.name).ok().flatten()?;
        Some((flag.name.to_owned(), value.clone()))
    };
    let below = matches.subcommand().map(|(_, below)| flags(below)).unwrap_or_default();
    let mut all: Vec<(String, String)> = settings::flags().filter_map(given).collect();
    all.retain(|(name, _)| below.iter().all(|(other, _)| other != name));
    all.extend(below);
    all
}

/// A moment, or how long ago it was.
fn moment(text: &str) -> crate::base::Result<Timestamp> {
    if let Ok(moment) = formats::moment(text) {
        return Ok(moment);
    }
    let span: Span = text
        .parse()
        .map_err(|_| Error::invalid("neither a time like 2026-11-20T14:03:00Z nor a span like `2 hours`"))?;
    Ok(Clock::system().now().minus(span.size()))
}

fn fail(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Error(error) => {
            output::complain(&error.chain());
            match error.kind() {
                Kind::Forbidden | Kind::Unauthenticated => ExitCode::from(REFUSED),
                _ => ExitCode::from(FAILED),
            }
        }
        Failure::Code(code) => ExitCode::from(*code),
        Failure::Settings(problems) => {
            output::complain(&format!("the settings have problems:\n{problems}"));
            ExitCode::from(WRONG_USAGE)
        }
    }
}
