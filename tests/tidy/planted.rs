//! Small trees: for each rule at least one that breaks it once, and one beside it that comes close and does not.

use crate::source::Source;

/// Files of a tree: path and text.
type Files = &'static [(&'static str, &'static str)];

pub struct Planted {
    pub rule: &'static str,
    pub bad: Files,
    pub good: Files,
}

impl Planted {
    pub fn bad(&self) -> Vec<Source> {
        sources(self.bad)
    }

    pub fn good(&self) -> Vec<Source> {
        sources(self.good)
    }
}

/// In the texts `~` is nothing: it keeps this file from breaking the rules itself. `@` stands for a hundred lines.
fn sources(files: Files) -> Vec<Source> {
    let text = |text: &str| text.replace('~', "").replace('@', &"\n".repeat(100));
    files.iter().map(|(path, planted)| Source::new(path, &text(planted))).collect()
}

const fn planted(rule: &'static str, bad: Files, good: Files) -> Planted {
    Planted { rule, bad, good }
}

pub const ALL: &[Planted] = &[
    planted(
        "layers",
        &[("src/store/mod.rs", "use crate::domain::auth::Auth;")],
        &[
            (
                "src/store/mod.rs",
                "use crate::{base::Error, store::seal};\n// crate::domain\nconst A: &str = \"crate::web\";",
            ),
            ("src/cli/mod.rs", "use crate::app::serve;"),
        ],
    ),
    planted("layers", &[("src/store/tx.rs", "use crate::{base, ports::broker::Broker};")], &[]),
    planted(
        "layers",
        &[("src/ports/broker/wire.rs", "use super::super::super::store::Store;")],
        &[("src/ports/broker/wire.rs", "use super::super::super::base::Error;\nuse super::super::tls::Tls;")],
    ),
    planted("layers", &[("src/misc/mod.rs", "")], &[("src/lib.rs", "pub mod misc;")]),
    planted(
        "homes of crates",
        &[("src/domain/auth/mod.rs", "fn f(e: redb::Error) {}")],
        &[
            ("src/store/mod.rs", "use redb::Database;"),
            ("src/domain/mod.rs", "// redb and reqwest\nconst A: &str = \"lapin\";"),
        ],
    ),
    planted(
        "homes of crates",
        &[("src/web/api/held.rs", "fn f(s: &Store) -> Result<()> { s.survey_here(|tx| tx.each_entry(look)) }")],
        &[("src/web/api/held.rs", "async fn f(s: &Store) -> Result<()> { s.survey(|tx| tx.each_entry(look)).await }")],
    ),
    planted("homes of crates", &[("src/web/api/audit.rs", "fn f() { tokio::task::spawn_blocking(work); }")], &[]),
    planted(
        "homes of crates",
        &[("src/app/build.rs", "use axum::Router;")],
        &[("src/app/listen.rs", "use axum::Router;")],
    ),
    planted("homes of crates", &[("src/web/mod.rs", "use hickory_resolver::TokioResolver;")], &[]),
    planted(
        "broker users",
        &[("src/domain/guard/mod.rs", "use crate::ports::broker::{Bus, Users};")],
        &[
            ("src/domain/accounts/mod.rs", "use crate::ports::broker::Users;"),
            ("src/domain/guard/mod.rs", "use crate::ports::broker::{Bus, Handle};\n// dyn Broker"),
        ],
    ),
    planted(
        "environment",
        &[("src/ports/tls.rs", "fn f() { std::env::var(\"A\"); }")],
        &[
            ("src/cli/mod.rs", "fn f() { std::env::args_os(); }"),
            ("src/web/mod.rs", "const VERSION: &str = env!(\"CARGO_PKG_VERSION\");"),
        ],
    ),
    planted(
        "domain list",
        &[("src/domain/mod.rs", "//! `a → b`."), ("src/domain/a.rs", "use super::b::B;\nuse crate::domain::c::C;")],
        &[
            ("src/domain/mod.rs", "//! `a → b, c` · `b → c`."),
            ("src/domain/a.rs", "use super::b::B;\nuse crate::domain::c::C;"),
            ("src/domain/b/mod.rs", "mod inner;\nuse crate::domain::c::C;\nuse inner::I;"),
        ],
    ),
    planted("domain list", &[("src/domain/mod.rs", "//! `a → b`."), ("src/domain/a.rs", "")], &[]),
    planted(
        "circles of files",
        &[
            ("src/a/mod.rs", "mod b;\nmod c;\npub use c::C;"),
            ("src/a/b.rs", "use super::C;\npub struct B;"),
            ("src/a/c.rs", "use crate::a::b;\npub struct C;"),
        ],
        &[
            // What a module says and its files use is no circle, nor is what it hands on, nor what tests use.
            ("src/a/mod.rs", "mod b;\nmod c;\nuse b::B;\npub use c::C;\npub struct A;"),
            ("src/a/b.rs", "use super::{A, C};\n#[cfg(test)]\nmod tests {\n    use super::super::c;\n}"),
            ("src/a/c.rs", "use super::A;\n#[cfg(test)]\nmod tests {\n    use crate::a::b::B;\n}"),
        ],
    ),
    planted(
        "circles of files",
        &[
            ("src/a.rs", "use crate::b::{self, c::C};"),
            ("src/b/mod.rs", "mod c;"),
            ("src/b/c.rs", "fn f() { super::super::d::e() }"),
            ("src/d.rs", "use crate::{a::A};"),
        ],
        &[],
    ),
    planted("opening sentence", &[("src/base/mod.rs", "// A remark.")], &[("src/base/mod.rs", "//! A sentence.")]),
    planted("length of files", &[("tests/long.rs", "@@@@\n")], &[("tests/long.rs", "@@@@")]),
    planted(
        "length of functions",
        &[("src/base/mod.rs", "fn long(a: [u8; 2]) -> u8 {@}")],
        &[("src/base/mod.rs", "type F = fn(u8) -> u8;@\ntrait T { fn f();@ }\nfn short() {}@")],
    ),
    planted(
        "unwrap",
        &[("src/base/mod.rs", "fn f() { a.unwrap() }\n#[cfg(test)]\nmod tests {\n    fn g() { b.unwrap() }\n}")],
        &[
            (
                "src/base/mod.rs",
                "/// x.unwrap()\nfn f<'a>(c: char) { c == '\"' && a.expect(\"read above\") }\n#[cfg(test)]\nmod tests {\n    fn g() { b.unwrap() }\n}",
            ),
            ("tests/any.rs", "fn f() { a.unwrap() }"),
        ],
    ),
    planted(
        "unwrap",
        &[("src/base/mod.rs", "#[cfg(test)]\nmod tests {\n    fn g() { b.unwrap() }\n}\nfn f() { a.unwrap() }")],
        &[],
    ),
    planted(
        "silenced lints",
        &[("src/base/mod.rs", "#[allow(dead_code)]\nfn f() {}")],
        &[("src/base/mod.rs", "#[expect(dead_code, reason = \"soon\")]\nfn f() {}\nconst A: &str = \"#[allow(a)]\";")],
    ),
    planted(
        "unfinished",
        &[("src/base/mod.rs", "fn f() { todo!() }")],
        &[("src/base/mod.rs", "// To do it is nothing.")],
    ),
    planted("unfinished", &[("tests/a.rs", "// TO~DO: think")], &[]),
    planted(
        "static state",
        &[("src/web/mod.rs", "static CACHE: std::sync::LazyLock<u8> = x;")],
        &[(
            "src/web/mod.rs",
            "static LIST: Endpoint = endpoint();\nstruct S { a: &'static str, b: Mutex<u8> }\nfn f() -> impl Fn() + 'static { let a: Mutex<u8> = b; }",
        )],
    ),
    planted("static state", &[("src/web/mod.rs", "static mut COUNT: u8 = 0;")], &[]),
    planted(
        "skipped tests",
        &[("tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}")],
        &[("tests/a.rs", "// #[ignore]\n#[test]\nfn f() {}")],
    ),
    planted("skipped tests", &[("src/base/mod.rs", "#[should_panic(expected = \"a\")]\nfn f() {}")], &[]),
    planted(
        "actions of the audit log",
        &[
            ("src/base/audit/actions.rs", "    A = \"a.b\" [\"c\"];"),
            ("src/web/mod.rs", "fn f() { g(\"a.b\", Action::A) }"),
        ],
        &[
            ("src/base/audit/actions.rs", "    A = \"a.b\" [\"c\"];"),
            (
                "src/web/mod.rs",
                "fn f() { g(\"c\", Action::A) }\n#[cfg(test)]\nmod tests {\n    fn g() { h(\"a.b\") }\n}",
            ),
        ],
    ),
    planted(
        "actions of the audit log",
        &[
            ("src/base/audit/actions.rs", "    A = \"a.b\" [\"c\"];"),
            ("src/web/mod.rs", "fn f() { g(Action::Ab) }\n#[cfg(test)]\nmod tests {\n    fn g() { h(Action::A) }\n}"),
        ],
        &[],
    ),
    planted(
        "map of src",
        &[("docs/architecture.md", "`store/`"), ("src/store/backup/mod.rs", "")],
        &[("docs/architecture.md", "`store/`, `backup/`"), ("src/store/backup/mod.rs", ""), ("src/store/tx.rs", "")],
    ),
    planted("map of src", &[("docs/architecture.md", "none of: mod"), ("src/store/mod.rs", "")], &[]),
    planted(
        "names in documents",
        &[("README.md", "Set `RABBIT_URL`."), ("src/a.rs", "const A: &str = \"RABBIT_BASE_URL\";")],
        &[("README.md", "Set `RABBIT_BASE_URL` on HTTP."), ("src/a.rs", "const A: &str = \"RABBIT_BASE_URL\";")],
    ),
    planted(
        "names in documents",
        &[("README.md", "`SMTP_URL`"), ("src/app/settings/list.rs", "const LATER: &[&str] = &[\n\"SMTP_URL\"];")],
        &[],
    ),
    planted(
        "tests in documents",
        &[("docs/a.md", "`a_test_that_went`"), ("tests/a.rs", "fn a_test_that_came() {}")],
        &[("docs/a.md", "`a_test_that_came`, not_a_test"), ("tests/a.rs", "fn a_test_that_came() {}")],
    ),
    planted(
        "links",
        &[("docs/a.md", "[b](../b.md)")],
        &[("docs/a.md", "[b](../b.md#part) [c](https://example.com) [docs](.)"), ("b.md", "")],
    ),
    planted("registries", &[("scripts/a", "curl https://static.~crates.io/x")], &[("Cargo.lock", "crates.io-index")]),
];
