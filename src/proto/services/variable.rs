//! Which variables a task may set in a service.
//!
//! An image may be trusted with scopes that the task does not have. A variable that makes every program of some kind run
//! other code, or ask another host, would hand those scopes to the task, whatever the image does. The list is that of sudo
//! and of the interpreters that images have; it cannot know what the scripts of an image make of its own variables
//! (`JAVA_OPTS`): an image that is worth scopes takes what a task sets for untrusted, as the proposal says.

use super::mistakes::quoted;
use super::{ENV_NAME_LEN_MAX, ENV_VALUE_LEN_MAX};

/// Variables that are refused for one reason.
pub(super) struct Refused {
    /// What is wrong with them, behind their name.
    pub why: &'static str,
    /// Whether programs read them in small letters, too.
    pub in_any_case: bool,
    /// Their names; a `*` at either end stands for anything.
    pub names: &'static [&'static str],
}

/// Why a variable that has something run is refused.
const RUNS: &str = "has a loader, a shell or another program run what the task says, with the scopes of the image";
/// Why one that leads astray is refused.
const LEADS_ASTRAY: &str = "sends what a service asks elsewhere, or has it trust others";
/// How an exported function of a shell begins: versions of it before 2014 run what stands behind one.
const FUNCTION: &str = "() {";

/// All that are refused. `MALLOC_*` is not among them: it only tells an allocator how much to keep, and is widely used.
/// Neither is `HOME`, which images want for users that have no name.
pub(super) const REFUSED: [Refused; 5] = [
    Refused {
        why: "is set by the worker, to say where the service's own proxy is and for which task it runs",
        in_any_case: false,
        names: &[
            "KEYLENDER_*",
            "TASKCLUSTER_PROXY_URL",
            "TASKCLUSTER_ROOT_URL",
            "*_PROXY_URL",
            "*_AMQP_URL",
            "*_AMQP_SOCKET",
            "TASK_ID",
            "RUN_ID",
        ],
    },
    Refused {
        why: LEADS_ASTRAY,
        in_any_case: true,
        names: &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "GRPC_PROXY", "NO_PROXY", "NO_GRPC_PROXY"],
    },
    Refused {
        why: LEADS_ASTRAY,
        in_any_case: false,
        names: &[
            // Authorities, and whether they are asked.
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "SSLKEYLOGFILE",
            "CURL_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
            "AWS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "NODE_TLS_REJECT_UNAUTHORIZED",
            "PYTHONHTTPSVERIFY",
            "GIT_SSL_*",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
            "NIX_SSL_CERT_FILE",
            "DENO_CERT",
            "DENO_TLS_CA_STORE",
            "PERL_LWP_SSL_*",
            // Where a client of a kind asks instead.
            "AWS_ENDPOINT_URL*",
            "WGETRC",
            "CURL_HOME",
            // Names of hosts.
            "HOSTALIASES",
            "LOCALDOMAIN",
            "RES_OPTIONS",
            "RESOLV_*",
        ],
    },
    // npm reads its own in any case.
    Refused { why: RUNS, in_any_case: true, names: &["NPM_CONFIG_*"] },
    Refused {
        why: RUNS,
        in_any_case: false,
        names: &[
            // The loader and the C library.
            "LD_*",
            "DYLD_*",
            "GLIBC_TUNABLES",
            "GCONV_PATH",
            "GETCONF_DIR",
            "LOCPATH",
            "NLSPATH",
            // Where programs find others, and libraries what they load.
            "PATH",
            "JAVA_HOME",
            "OPENSSL_*",
            "KRB5_CONFIG",
            "SASL_PATH",
            "GIO_EXTRA_MODULES",
            "QT_PLUGIN_PATH",
            // Shells.
            "IFS",
            "ENV",
            "BASH_*",
            "BASHOPTS",
            "SHELLOPTS",
            "PS4",
            "PROMPT_COMMAND",
            "CDPATH",
            "FPATH",
            "GLOBIGNORE",
            "NULLCMD",
            "READNULLCMD",
            "ZDOTDIR",
            // Commands that others run.
            "BROWSER",
            "EDITOR",
            "VISUAL",
            "PAGER",
            "MANPAGER",
            "TERMINFO",
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "LESSOPEN",
            "LESSCLOSE",
            "GIT_ASKPASS",
            "GIT_CONFIG*",
            "GIT_DIR",
            "GIT_EDITOR",
            "GIT_EXEC_PATH",
            "GIT_EXTERNAL_DIFF",
            "GIT_PAGER",
            "GIT_PROXY_COMMAND",
            "GIT_SEQUENCE_EDITOR",
            "GIT_SSH",
            "GIT_SSH_COMMAND",
            "GIT_TEMPLATE_DIR",
            "SSH_ASKPASS",
            // Interpreters.
            "PERL5OPT",
            "PERL5LIB",
            "PERLLIB",
            "PERL5DB",
            "PERLIO_DEBUG",
            "PYTHONPATH",
            "PYTHONHOME",
            "PYTHONSTARTUP",
            "PYTHONINSPECT",
            "PYTHONBREAKPOINT",
            "PYTHONUSERBASE",
            "PYTHONWARNINGS",
            "PYTHONPLATLIBDIR",
            "PYTHONPYCACHEPREFIX",
            "PYTHON_PRESITE",
            "RUBYOPT",
            "RUBYLIB",
            "RUBYGEMS_GEMDEPS",
            "GEM_HOME",
            "GEM_PATH",
            "BUNDLE_GEMFILE",
            "NODE_OPTIONS",
            "NODE_PATH",
            "NODE_REPL_EXTERNAL_MODULE",
            "BUN_OPTIONS",
            "JAVA_TOOL_OPTIONS",
            "OPENJ9_JAVA_OPTIONS",
            "IBM_JAVA_OPTIONS",
            "_JAVA_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "CLASSPATH",
            "ERL_*",
            "ELIXIR_ERL_OPTIONS",
            "LUA_INIT*",
            "LUA_PATH*",
            "LUA_CPATH*",
            "PHPRC",
            "PHP_INI_SCAN_DIR",
            "R_PROFILE*",
            "R_ENVIRON*",
            "R_LIBS*",
            "TCLLIBPATH",
            "GUILE_LOAD_*",
            "JULIA_LOAD_PATH",
            "JULIA_DEPOT_PATH",
            "DOTNET_STARTUP_HOOKS",
            "DOTNET_ADDITIONAL_DEPS",
            "DOTNET_GCNAME",
            "DOTNET_GCName",
            "DOTNET_ROOT*",
            "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
            "CORECLR_*",
            "COR_*",
            "GUNICORN_CMD_ARGS",
            "MONO_*",
        ],
    },
];

/// Why a variable of that name may not be set, if so.
pub(super) fn name_mistake(name: &str) -> Option<String> {
    let said = quoted(name);
    if name.len() > ENV_NAME_LEN_MAX {
        return Some(format!("the name {said} has {} bytes; there may be {ENV_NAME_LEN_MAX}", name.len()));
    }
    if !is_name(name) {
        return Some(format!("{said} is no name of a variable: expected A-Z a-z 0-9 _, not beginning with a digit"));
    }
    let refused = REFUSED.iter().find(|refused| refused.names.iter().any(|pattern| refused.is_like(name, pattern)))?;
    Some(format!("{said} {}", refused.why))
}

/// Why a variable may not have that value, if so.
pub(super) fn value_mistake(value: &str) -> Option<String> {
    if value.len() > ENV_VALUE_LEN_MAX {
        return Some(format!("the value has {} bytes; there may be {ENV_VALUE_LEN_MAX}", value.len()));
    }
    if value.contains('\0') {
        return Some("the value has a NUL in it, which no variable can have".to_owned());
    }
    value.starts_with(FUNCTION).then(|| format!("a value that begins with {} {RUNS}", quoted(FUNCTION)))
}

fn is_name(name: &str) -> bool {
    let is_first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(is_first) && name.bytes().all(|b| is_first(b) || b.is_ascii_digit())
}

impl Refused {
    fn is_like(&self, name: &str, pattern: &str) -> bool {
        let name = if self.in_any_case { name.to_ascii_uppercase() } else { name.to_owned() };
        match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(end), _) => name.ends_with(end),
            (_, Some(beginning)) => name.starts_with(beginning),
            _ => name == pattern,
        }
    }
}
