//! Command lines as the ancestors read them (proxy.md 6): options with unique prefixes, joined values, arguments between
//! options, and no option twice.

use crate::base::{Error, Result};

/// An option of a command.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its letter, where it has one.
    pub short: Option<char>,
    /// Its name, without the dashes.
    pub long: &'static str,
    /// Whether a value follows it.
    pub takes_value: bool,
}

/// A command and what it takes.
#[derive(Clone, Copy, Debug)]
pub struct Syntax {
    /// What is printed on a wrong command line, and for `--help`.
    pub usage: &'static str,
    /// Its options.
    pub options: &'static [Opt],
    /// Options that its ancestor did not have. They are written out, so that no cut name of the ancestor's means another one.
    pub own: &'static [Opt],
    /// Whether arguments stand behind `--` only, which then is a must.
    pub needs_separator: bool,
}

/// A command line that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    values: Vec<(&'static str, String)>,
    /// What belongs to no option, `--` included where it has no meaning.
    pub arguments: Vec<String>,
}

impl CommandLine {
    /// The value of an option, if it was given.
    pub fn value(&self, long: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// Whether an option was given.
    pub fn has(&self, long: &str) -> bool {
        self.value(long).is_some()
    }
}

impl Syntax {
    /// Reads what follows the name of the command. A mistake is told in one line, to which the usage is added by who prints it.
    pub fn parse(&self, arguments: &[String]) -> Result<CommandLine> {
        let mut line = CommandLine::default();
        let mut rest = arguments.iter();
        let mut separated = false;
        while let Some(argument) = rest.next() {
            match argument.strip_prefix("--") {
                Some("") if self.needs_separator => {
                    separated = true;
                    line.arguments.extend(rest.by_ref().cloned());
                }
                Some(long) if !long.is_empty() => {
                    let (name, joined) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
                    let option = self.long(name)?;
                    let value = match (option.takes_value, joined) {
                        (false, None) => String::new(),
                        (false, Some(_)) => {
                            return Err(Error::invalid(format!("--{} must not have an argument", option.long)));
                        }
                        (true, Some(value)) => value.to_owned(),
                        (true, None) => following(option, &mut rest)?,
                    };
                    line.add(option, value)?;
                }
                _ if argument.len() > 1 && argument.starts_with('-') && argument != "--" => {
                    self.shorts(&argument[1..], &mut rest, &mut line)?;
                }
                _ => line.arguments.push(argument.clone()),
            }
        }
        let asks = line.has("help") || line.has("version") || line.has("short-version");
        if self.needs_separator && !asks && !(separated && line.arguments.len() == 1) {
            return Err(Error::invalid("one <taskId> is needed, behind --"));
        }
        Ok(line)
    }

    fn long(&self, name: &str) -> Result<&'static Opt> {
        if let Some(option) = self.options.iter().chain(self.own).find(|option| option.long == name) {
            return Ok(option);
        }
        let found: Vec<_> = self.options.iter().filter(|option| option.long.starts_with(name)).collect();
        match found[..] {
            [option] => Ok(option),
            [] => Err(Error::invalid(format!("--{name} is no option"))),
            _ => {
                let names: Vec<_> = found.iter().map(|option| format!("--{}", option.long)).collect();
                Err(Error::invalid(format!("--{name} is not a unique prefix: {}?", names.join(", "))))
            }
        }
    }

    /// Letters behind one dash; the first that takes a value has the rest as its value, or what follows.
    fn shorts<'a>(
        &self,
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        line: &mut CommandLine,
    ) -> Result<()> {
        for (at, letter) in letters.char_indices() {
            let option = self.options.iter().find(|option| option.short == Some(letter));
            let option = option.ok_or_else(|| Error::invalid(format!("-{letter} is no option")))?;
            if !option.takes_value {
                line.add(option, String::new())?;
                continue;
            }
            let joined = &letters[at + letter.len_utf8()..];
            let value = if joined.is_empty() { following(option, rest)? } else { joined.to_owned() };
            return line.add(option, value);
        }
        Ok(())
    }
}

impl CommandLine {
    fn add(&mut self, option: &'static Opt, value: String) -> Result<()> {
        if self.has(option.long) {
            return Err(Error::invalid(format!("--{} is there twice", option.long)));
        }
        self.values.push((option.long, value));
        Ok(())
    }
}

fn following<'a>(option: &Opt, rest: &mut impl Iterator<Item = &'a String>) -> Result<String> {
    rest.next().cloned().ok_or_else(|| Error::invalid(format!("--{} requires argument", option.long)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[Opt] = &[
        Opt { short: Some('p'), long: "port", takes_value: true },
        Opt { short: None, long: "allowed-user", takes_value: true },
        Opt { short: None, long: "allowed-network", takes_value: true },
        Opt { short: Some('h'), long: "help", takes_value: false },
    ];
    const OWN: &[Opt] = &[Opt { short: None, long: "possible", takes_value: true }];
    const FREE: Syntax = Syntax { usage: "", options: OPTIONS, own: OWN, needs_separator: false };
    const SEPARATED: Syntax = Syntax { needs_separator: true, ..FREE };

    fn read(syntax: &Syntax, line: &[&str]) -> Result<CommandLine> {
        syntax.parse(&line.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn values_may_be_joined_and_names_cut() {
        for line in [&["--port=80"][..], &["--port", "80"], &["-p80"], &["-p", "80"], &["--po", "80"]] {
            assert_eq!(read(&FREE, line).unwrap().value("port"), Some("80"), "{line:?}");
        }
        assert_eq!(read(&FREE, &["-p", "-1"]).unwrap().value("port"), Some("-1"));
        assert_eq!(read(&FREE, &["--possible=1"]).unwrap().value("possible"), Some("1"));
        assert_eq!(read(&FREE, &["--p=1"]).unwrap().value("port"), Some("1"), "one of ours cuts nothing");
        let line = read(&FREE, &["a", "-hp8", "--", "b", "", "-"]).unwrap();
        assert_eq!((line.arguments, line.values.len()), (["a", "--", "b", "", "-"].map(str::to_owned).into(), 2));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, message) in [
            (&["--nope"][..], "--nope is no option"),
            (&["-z"], "-z is no option"),
            (&["--port"], "--port requires argument"),
            (&["--help=1"], "--help must not have an argument"),
            (&["-p1", "--port=2"], "--port is there twice"),
            (&["--allowed", "x"], "--allowed is not a unique prefix: --allowed-user, --allowed-network?"),
        ] {
            assert_eq!(read(&FREE, line).unwrap_err().message(), message);
        }
    }

    #[test]
    fn what_stands_behind_the_separator_is_one_task() {
        assert_eq!(read(&SEPARATED, &["-p1", "--", "-Task"]).unwrap().arguments, ["-Task"]);
        assert_eq!(read(&SEPARATED, &["--", ""]).unwrap().arguments, [""]);
        for line in [&[][..], &["Task"], &["--"], &["--", "a", "b"], &["a", "--", "b"], &["--", "a", "-p", "1"]] {
            assert!(read(&SEPARATED, line).is_err(), "{line:?}");
        }
        assert!(read(&SEPARATED, &["--help"]).is_ok());
    }
}
