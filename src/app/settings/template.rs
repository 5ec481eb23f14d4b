//! The settings file that a package brings: every setting with its help and its default, almost all of them comments.

use super::list;
use super::setting::Info;

const HEAD: &str = "\
# Settings of Keylender: one KEY=value on a line, as a shell reads it; quote what has blanks in it with '.
# A line that begins with #KEY= shows the default; take the # away to set something else. Flags and the environment
# outweigh this file. `keylender config --config FILE` shows what holds, or all that is wrong. Restart after a change.
# A secret may stand in a file of its own: NAME_FILE=/path instead of NAME. This file is for root and the group keylender.
";
/// What a packaged appliance sets, whatever the defaults are.
const SET: [(&str, &str); 1] = [("NODE_ENV", "production")];

/// The text of such a file.
pub fn template() -> String {
    list::all().fold(HEAD.to_owned(), |text, setting| text + "\n" + &lines(setting))
}

fn lines(setting: &Info) -> String {
    let Info { name, help, default, follow, .. } = setting;
    let default = default.unwrap_or_default();
    let (default, value) = match follow {
        Some(_) => (format!(" (if not set: {default})"), String::new()),
        None => (String::new(), quoted(default)),
    };
    let line = match SET.iter().find(|(set, _)| set == name) {
        Some((_, value)) => format!("{name}={value}\n"),
        None => format!("#{name}={value}\n"),
    };
    let of_file = setting.file_name().map(|name| format!("#{name}=\n")).unwrap_or_default();
    format!("# {help}{default}\n{line}{of_file}")
}

fn quoted(value: &str) -> String {
    if value.contains(' ') { format!("'{value}'") } else { value.to_owned() }
}
