//! Settings and usage: where values come from, what is masked, and everything that is wrong at once.

use std::fs;

use serde_json::Value;

use super::{Home, Outcome};

fn find<'v>(document: &'v Value, name: &str) -> &'v Value {
    let settings = document["settings"].as_array().unwrap();
    settings.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn every_value_is_shown_with_its_source_and_secrets_are_masked() {
    let home = Home::new();
    let secret = home.dir.path().join("password");
    fs::write(&secret, "canary-file\n").unwrap();
    home.write_settings(
        "# a comment\nPORT=1111\nNAMESPACE_PREFIX='from-file-'\nRABBIT_BASE_URL=http://localhost:15672/api\nRABBIT_USERNAME=admin\n",
    );
    let run = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("PORT", "2222").env("LOG_LEVEL", "debug").env("KEY_PASSPHRASE", "canary-env");
        command.env("RABBIT_PASSWORD_FILE", &secret);
        Outcome::of(command.output().unwrap())
    };
    let document = run(&["config", "--json", "--log-level", "warn"]).json();
    for (name, value, source) in [
        ("LOG_LEVEL", "warn", "--log-level"),
        ("PORT", "2222", "environment"),
        ("NAMESPACE_PREFIX", "from-file-", "keylender.conf:3"),
        ("TASKCLUSTER_AMQP_PORT", "5672", "default"),
        ("TASKCLUSTER_AMQP_HOSTNAME", "localhost", ""),
        ("KEY_PASSPHRASE", "•••", "environment"),
        ("RABBIT_PASSWORD", "•••", "password"),
    ] {
        let setting = find(&document, name);
        assert_eq!(setting["value"], value, "{name}");
        assert!(setting["source"].as_str().unwrap().contains(source), "{setting}");
        assert!(!setting["help"].as_str().unwrap().is_empty(), "{name}");
    }
    let table = run(&["config"]).well();
    assert!(table.starts_with("SETTING") && table.contains("NAMESPACE_ROTATION_INTERVAL"), "{table}");
    assert!(!table.contains("canary") && !document.to_string().contains("canary"));
}

#[test]
fn a_secret_on_the_command_line_draws_a_warning() {
    let home = Home::new();
    let outcome = home.run(&["config", "--key-passphrase", "canary"]);
    assert_eq!(outcome.code, 0);
    assert!(outcome.stderr.contains("warning") && outcome.stderr.contains("key-passphrase"), "{}", outcome.stderr);
    assert!(!outcome.stdout.contains("canary") && !outcome.stderr.contains("canary"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let home = Home::new();
    let file = home.write_settings("PORT=eighty\nNAMESPACE_PREFX=a\n\nBIND=nowhere\nBROKEN\n");
    let mut command = home.command(&["serve", "--force-ssl=perhaps"]);
    command.env("RABBIT_BASE_URL", "ftp://x").env("RECONCILE_PERIOD", "often");
    let outcome = Outcome::of(command.output().unwrap());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    let file = file.display();
    for expected in [
        "keylender: the settings have problems:".to_owned(),
        "--force-ssl: ".into(),
        "environment: RABBIT_BASE_URL: ".into(),
        "environment: RECONCILE_PERIOD: ".into(),
        format!("{file}:1: PORT: "),
        format!("{file}:2: "),
        format!("{file}:4: BIND: "),
        format!("{file}:5: "),
    ] {
        assert!(outcome.stderr.lines().any(|line| line.starts_with(&expected)), "{expected} in\n{}", outcome.stderr);
    }
    assert!(outcome.stderr.contains("NAMESPACE_PREFIX"), "the nearest name: {}", outcome.stderr);
    assert!(!home.data_dir().exists(), "and nothing was begun");
    let missing = home.run(&["config", "--config", "/no/such/file"]);
    assert!(missing.code == 2, "{missing:?}");
}

#[test]
fn wrong_usage_is_exit_code_two() {
    let home = Home::new();
    for arguments in [
        &["nosuch"][..],
        &["serve", "--nosuch"],
        &["client"],
        &["client", "create", "a"],
        &["client", "create", "--scope", "a"],
        &["claim"],
        &["audit", "show", "--from", "x"],
    ] {
        let outcome = home.run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(outcome.stderr.contains("Usage:") || outcome.stderr.contains("error:"), "{}", outcome.stderr);
    }
}

/// The names of the commands below one, as its help lists them.
fn commands(help: &str) -> Vec<String> {
    let list = help.split_once("Commands:\n").map_or("", |(_, list)| list);
    // A line that is further in goes on with what the one before says.
    let lines = list.lines().take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("   "));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let home = Home::new();
    let mut seen = 0;
    let mut left = vec![Vec::new()];
    while let Some(path) = left.pop() {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = home.run(&arguments).well();
        let example = help.split_once("Example").map_or("", |(_, examples)| examples);
        let whole = format!("keylender {}", path.join(" "));
        assert!(example.contains(whole.trim_end()), "{whole} --help has no example:\n{help}");
        seen += 1;
        left.extend(commands(&help).into_iter().map(|name| path.iter().cloned().chain([name]).collect()));
    }
    assert!(seen >= 20, "{seen}");
    assert!(home.run(&["--version"]).well().starts_with("keylender "));
}

#[test]
fn the_commands_that_the_api_is_described_with_are_ours() {
    let (home, document) = (Home::new(), keylender::web::api::openapi::document(None));
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let commands: Vec<(&str, &Value)> =
        operations.filter_map(|operation| Some((operation["x-command"].as_str()?, operation))).collect();
    assert!(commands.len() > 50, "{}", commands.len());
    let purge = "keylender queue purge <queue> --reason <why>";
    assert!(commands.iter().any(|(command, _)| *command == purge), "a reason that is demanded is shown");
    for (command, operation) in commands {
        let words = command.strip_prefix("keylender ").unwrap().split(' ');
        let is_name = |word: &&str| !word.starts_with(['-', '<']);
        let (names, rest): (Vec<&str>, Vec<&str>) =
            (words.clone().take_while(is_name).collect(), words.clone().skip_while(is_name).collect());
        let help = home.run(&[&names[..], &["--help"]].concat()).well();
        let can_be_tried = operation["parameters"].as_array().unwrap().iter().any(|each| each["name"] == "plan");
        assert!(!can_be_tried || (help.contains("--plan\n") && help.contains("--reason <WHY>")), "{command}: {help}");
        let usage = help.lines().find(|line| line.starts_with("Usage:")).unwrap();
        assert!(usage.starts_with(&format!("Usage: keylender {}", names.join(" "))), "{command}: {usage}");
        assert!(!usage.contains("<COMMAND>"), "{command}: {usage}");
        for option in rest.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")), "{command}: {help}");
        }
        // Of what can stand for one another, one is needed.
        let needed = usage.split('|').next().unwrap().split(' ');
        let needed = needed.filter(|word| word.starts_with('<') && !word.starts_with("<--")).count();
        let given = rest.iter().filter(|word| word.starts_with('<')).count();
        assert!(given >= needed, "{command}: {usage}");
    }
}

#[test]
fn pages_and_completions_are_made_of_all_commands_whatever_the_settings() {
    let home = Home::new();
    home.write_settings("NO_SUCH_SETTING=1\n");
    let pages = home.dir.path().join("pages");
    std::fs::create_dir(&pages).unwrap();
    assert_eq!(home.run(&["man", pages.to_str().unwrap()]).well(), "");
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("keylender-serve.1").contains("rabbit") && page("keylender.1").contains("audit"));
    assert!(
        page("keylender-client-create.1").contains("scope") && !page("keylender-client-create.1").contains("rabbit")
    );
    for (shell, part) in [("bash", "complete -F"), ("zsh", "#compdef keylender"), ("fish", "complete -c keylender")] {
        let printed = home.run(&["completion", shell]).well();
        assert!(printed.contains(part) && printed.contains("find-secret"), "{shell}");
    }
    assert_eq!(home.run(&["completion", "nosuch"]).code, 2);
}

#[test]
fn the_settings_file_of_the_package_is_what_the_program_prints() {
    let home = Home::new();
    home.write_settings("this host's own file may be broken");
    let printed = home.run(&["config", "--template"]).well();
    let packaged = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/keylender.conf")).unwrap();
    assert_eq!(printed, packaged, "write it anew: keylender config --template >packaging/keylender.conf");
}
