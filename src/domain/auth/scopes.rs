//! All scopes that something of ours asks for: one list for the API, the console, the command line and the roles.

use std::fmt;

/// A scope that something asks for. Where it is about one thing, `<argument>` stands for the thing's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequiredScope {
    template: &'static str,
    is_for_all: bool,
}

impl RequiredScope {
    const fn new(template: &'static str) -> Self {
        Self { template, is_for_all: false }
    }

    /// For all things that it could be about.
    pub const fn for_all(self) -> Self {
        Self { is_for_all: true, ..self }
    }

    /// For the thing of this name.
    pub fn on(self, name: impl fmt::Display) -> String {
        format!("{}{name}", self.prefix())
    }

    /// Whether it is about one thing, which has yet to be named.
    pub fn wants_name(self) -> bool {
        !self.is_for_all && self.prefix() != self.template
    }

    fn prefix(self) -> &'static str {
        self.template.split_once('<').map_or(self.template, |(prefix, _)| prefix)
    }
}

impl fmt::Display for RequiredScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_for_all { write!(f, "{}*", self.prefix()) } else { f.write_str(self.template) }
    }
}

macro_rules! scopes {
    ($($name:ident = $template:literal;)*) => {
        $(
            #[doc = concat!("`", $template, "`")]
            pub const $name: RequiredScope = RequiredScope::new($template);
        )*
        pub const ALL: &[RequiredScope] = &[$($name),*];
    };
}

scopes! {
    AGENT_ADMIT = "keylender:agent:admit";
    AGENT_ENROL = "keylender:agent:enrol:<host>";
    AGENT_READ = "keylender:agent:read";
    AGENT_REVOKE = "keylender:agent:revoke:<host>";
    AGENT_WHITELIST = "keylender:agent:whitelist";
    ALARM_ACKNOWLEDGE = "keylender:alarm:acknowledge";
    ARCHIVE_DELETE = "keylender:archive:delete:<archive>";
    ARCHIVE_EXPORT = "keylender:archive:export:<archive>";
    ARCHIVE_LIST = "keylender:archive:list";
    ARCHIVE_READ = "keylender:archive:read:<archive>";
    ARCHIVE_REPLAY = "keylender:archive:replay:<archive>";
    ARCHIVE_TAKE = "keylender:archive:take:<queue>";
    AUDIT_FIND_SECRET = "keylender:audit:find-secret";
    AUDIT_PRUNE = "keylender:audit:prune";
    AUDIT_READ = "keylender:audit:read";
    AUTH_CREATE_CLIENT = "auth:create-client:<clientId>";
    BACKUP_DOWNLOAD = "keylender:backup:download";
    BACKUP_LIST = "keylender:backup:list";
    BACKUP_TAKE = "keylender:backup:take";
    BACKUP_VERIFY = "keylender:backup:verify";
    BROKER_READ = "keylender:broker:read";
    BROKER_ROTATE = "keylender:broker:rotate";
    CLIENT_CERTIFICATE = "keylender:client:certificate:<clientId>";
    CLIENT_CHANGE = "keylender:client:change:<clientId>";
    CLIENT_CREATE = "keylender:client:create:<clientId>";
    CLIENT_DELETE = "keylender:client:delete:<clientId>";
    CLIENT_DISABLE = "keylender:client:disable:<clientId>";
    CLIENT_LIST = "keylender:client:list";
    CLIENT_RESET = "keylender:client:reset:<clientId>";
    CONNECTION_CLOSE = "keylender:connection:close:<connection>";
    CONNECTION_LIST = "keylender:connection:list";
    DOCTOR_READ = "keylender:doctor:read";
    EXCHANGE_LIST = "keylender:exchange:list";
    EXCHANGE_SHOW = "keylender:exchange:show:<exchange>";
    HOLDING_READ = "keylender:holding:read";
    HOST_EXPLAIN = "keylender:host:explain";
    HOST_LIST = "keylender:host:list";
    HOST_RULE = "keylender:host:rule:<rule>";
    HOST_RULES = "keylender:host:rules";
    KEY_ROTATE = "keylender:key:rotate";
    KEY_SHOW = "keylender:key:show";
    LEASE_LIST = "keylender:lease:list";
    LEASE_REVOKE = "keylender:lease:revoke";
    LOOP_LIST = "keylender:loop:list";
    LOOP_PAUSE = "keylender:loop:pause:<loop>";
    LOOP_PLAN = "keylender:loop:plan:<loop>";
    LOOP_RELEASE = "keylender:loop:release:<loop>";
    LOOP_RUN = "keylender:loop:run:<loop>";
    NAMESPACE_EXPIRE = "keylender:namespace:expire:<namespace>";
    NAMESPACE_EXTEND = "keylender:namespace:extend:<namespace>";
    NAMESPACE_LIST = "keylender:namespace:list";
    NAMESPACE_NOTE = "keylender:namespace:note:<namespace>";
    NAMESPACE_OWNERS = "keylender:namespace:owners:<namespace>";
    NAMESPACE_ROTATE = "keylender:namespace:rotate:<namespace>";
    NAMESPACE_SHOW = "keylender:namespace:show:<namespace>";
    NOTICE_DROP = "keylender:notice:drop:<notice>";
    NOTICE_LIST = "keylender:notice:list";
    NOTICE_RESEND = "keylender:notice:resend:<notice>";
    NOTICE_TEST = "keylender:notice:test";
    OPERATOR_ALL = "keylender:operator:*";
    OPERATOR_CREATE = "keylender:operator:create:<operator>";
    OPERATOR_DELETE = "keylender:operator:delete:<operator>";
    OPERATOR_DISABLE = "keylender:operator:disable:<operator>";
    OPERATOR_LIST = "keylender:operator:list";
    OPERATOR_RESET = "keylender:operator:reset:<operator>";
    OPERATOR_ROLE = "keylender:operator:role:<operator>";
    PROXY_END = "keylender:proxy:end:<session>";
    PROXY_OPEN = "keylender:proxy:open";
    PROXY_READ = "keylender:proxy:read";
    PROXY_UPSTREAMS = "keylender:proxy:upstreams";
    PULSE_NAMESPACE = "pulse:namespace:<namespace>";
    QUEUE_DELETE = "keylender:queue:delete:<queue>";
    QUEUE_LIST = "keylender:queue:list";
    QUEUE_PURGE = "keylender:queue:purge:<queue>";
    QUEUE_RULE = "keylender:queue:rule:<pattern>";
    QUEUE_RULES = "keylender:queue:rules";
    QUEUE_SHOW = "keylender:queue:show:<queue>";
    RELAY_ADOPT = "keylender:relay:adopt:<user>";
    RELAY_APPLY = "keylender:relay:apply";
    RELAY_LEND = "keylender:relay:lend:<account>";
    RELAY_PROFILE = "keylender:relay:profile";
    RELAY_READ = "keylender:relay:read";
    RELAY_RENDER = "keylender:relay:render:<part>";
    RELAY_ROTATE = "keylender:relay:rotate:<account>";
    ROLE_CREATE = "keylender:role:create:<roleId>";
    ROLE_DELETE = "keylender:role:delete:<roleId>";
    ROLE_LIST = "keylender:role:list";
    SERVICES_OPEN = "keylender:services:open";
    SERVICES_READ = "keylender:services:read";
    SERVICES_STOP = "keylender:services:stop:<set>";
    SESSION_LIST = "keylender:session:list";
    SESSION_REVOKE = "keylender:session:revoke";
    SETTING_LIST = "keylender:setting:list";
}
