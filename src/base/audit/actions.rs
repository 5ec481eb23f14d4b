//! Everything that the audit log can say was done, with the details that each entry may have.

use std::fmt;

/// Details that an entry of any action may have: where somebody was, why it failed, by which certificate they were known,
/// why they did it, and the mark of their signed request.
pub const COMMON_DETAILS: [&str; 5] = ["address", "cause", "certificate", "reason", "signed_request"];

macro_rules! actions {
    ($($action:ident = $name:literal [$($detail:literal),*];)*) => {
        /// Something that was done, or tried. Its text is a noun and a verb, and stands in logs: it never changes.
        /// `docs/audit.md` says what each one means.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $(
                #[doc = concat!("`", $name, "`")]
                $action,
            )*
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// As it stands in the log.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)*
                }
            }

            /// The details that its entries may have beside [`COMMON_DETAILS`].
            pub fn details(self) -> &'static [&'static str] {
                match self {
                    $(Self::$action => &[$($detail),*],)*
                }
            }
        }
    };
}

actions! {
    AccountAdjust = "account.adjust" [];
    AccountDelete = "account.delete" ["wish"];
    AccountDrift = "account.drift" ["what"];
    AccountSettle = "account.settle" ["wish"];
    AdministratorRenew = "administrator.renew" [];
    AdministratorRotate = "administrator.rotate" ["before"];
    AgentApprove = "agent.approve" ["rule"];
    AgentCutOff = "agent.cut_off" ["queue"];
    AgentEnrol = "agent.enrol" ["account", "by_token", "queueloc"];
    AgentForget = "agent.forget" ["account"];
    AgentLend = "agent.lend" ["account", "expires"];
    AgentListFile = "agent.list_file" [];
    AgentRefuse = "agent.refuse" ["rule"];
    AgentRevoke = "agent.revoke" ["account", "queue", "queueloc"];
    AgentRule = "agent.rule" ["until"];
    AgentToken = "agent.token" ["until"];
    AgentUnrule = "agent.unrule" [];
    AgentWhitelist = "agent.whitelist" ["added", "lines_added", "lines_removed", "removed"];
    AlarmAcknowledge = "alarm.acknowledge" ["text"];
    AlarmEnd = "alarm.end" ["text"];
    ArchiveBegin = "archive.begin" ["namespace", "queue", "why"];
    ArchiveDelete = "archive.delete" ["bytes", "head", "messages", "namespace", "queue"];
    ArchiveExport = "archive.export" ["bytes", "head", "messages", "namespace", "queue"];
    ArchiveMend = "archive.mend" ["bytes", "head", "messages", "namespace", "queue"];
    ArchivePrune = "archive.prune" ["bytes", "head", "messages", "namespace", "queue"];
    ArchiveRead = "archive.read" ["messages"];
    ArchiveReplay = "archive.replay" ["changed", "messages", "queue", "skipped"];
    ArchiveTake = "archive.take" ["arrived", "bytes", "head", "messages", "namespace", "queue", "why"];
    AuditFindSecret = "audit.find_secret" ["reference"];
    AuditPrune = "audit.prune" ["hash"];
    BackupDelete = "backup.delete" [];
    BackupDownload = "backup.download" ["bytes"];
    BackupDrill = "backup.drill" [];
    BackupTake = "backup.take" ["entries", "head", "records"];
    BackupVerify = "backup.verify" [];
    ClientCertificate = "client.certificate" ["certificate_name"];
    ClientChange = "client.change" ["expires", "scopes"];
    ClientCreate = "client.create" ["certificate_name", "expires", "scopes"];
    ClientDelete = "client.delete" [];
    ClientDisable = "client.disable" [];
    ClientEnable = "client.enable" [];
    ClientReset = "client.reset" ["former_until"];
    ConnectionClose = "connection.close" ["messages", "namespace", "user", "why"];
    ConnectionCondemn = "connection.condemn" ["namespace", "user"];
    ExchangeDelete = "exchange.delete" ["messages", "why"];
    HostForget = "host.forget" ["addresses"];
    HostLend = "host.lend" ["client_id", "expiry", "scope"];
    HostRefuse = "host.refuse" ["answers", "why"];
    HostRevoke = "host.revoke" ["is_refused", "issuer"];
    HostRule = "host.rule" ["remark"];
    HostUnrule = "host.unrule" [];
    HostVerify = "host.verify" ["answers", "name"];
    IssuedRevoke = "issued.revoke" ["issuer"];
    KeyRotate = "key.rotate" ["former", "state"];
    LeaseRevoke = "lease.revoke" ["kind"];
    LoopBrake = "loop.brake" ["why"];
    LoopPause = "loop.pause" [];
    LoopRelease = "loop.release" ["why"];
    LoopResume = "loop.resume" [];
    LoopRun = "loop.run" [];
    MonitorBrake = "monitor.brake" ["causes"];
    MonitorCondemn = "monitor.condemn" ["messages", "why"];
    MonitorGoOn = "monitor.go_on" [];
    MonitorRelease = "monitor.release" ["causes"];
    MonitorSpare = "monitor.spare" ["messages", "why"];
    NamespaceClaim = "namespace.claim" ["account", "reclaim_at"];
    NamespaceCreate = "namespace.create" ["expires"];
    NamespaceDelete = "namespace.delete" ["exchanges", "queues"];
    NamespaceDisown = "namespace.disown" ["owner"];
    NamespaceExpire = "namespace.expire" ["expires"];
    NamespaceExtend = "namespace.extend" ["expires"];
    NamespaceFinish = "namespace.finish" ["account"];
    NamespaceNote = "namespace.note" ["note"];
    NamespaceOwn = "namespace.own" ["owner"];
    NamespaceRenew = "namespace.renew" ["account"];
    NamespaceRevoke = "namespace.revoke" ["accounts"];
    NamespaceRotate = "namespace.rotate" ["active_slot", "next_rotation"];
    NamespaceUpdate = "namespace.update" ["expires"];
    NoticeDeliver = "notice.deliver" ["again", "attempts", "by", "fault", "given_up", "to"];
    NoticeDrop = "notice.drop" ["about", "kind"];
    NoticeGather = "notice.gather" ["notices"];
    NoticePost = "notice.post" ["about", "kind", "to"];
    NoticePrune = "notice.prune" ["ids"];
    NoticeResend = "notice.resend" ["count"];
    NoticeTest = "notice.test" [];
    OperatorCreate = "operator.create" ["by", "role", "subject"];
    OperatorDelete = "operator.delete" [];
    OperatorDisable = "operator.disable" ["role"];
    OperatorEnable = "operator.enable" ["role"];
    OperatorLogin = "operator.login" ["by", "error", "session"];
    OperatorLogout = "operator.logout" [];
    OperatorPassword = "operator.password" [];
    OperatorReset = "operator.reset" ["role"];
    OperatorRole = "operator.role" ["by", "role", "subject"];
    OperatorSecondFactor = "operator.second_factor" ["state"];
    OperatorSetupLink = "operator.setup_link" [];
    ProxyCalls = "proxy.calls" ["calls"];
    ProxyEnd = "proxy.end" ["calls", "not_revoked", "revoked"];
    ProxyForget = "proxy.forget" [];
    ProxyMint = "proxy.mint" ["ends", "permissions", "upstream"];
    ProxyOpen = "proxy.open" ["ends", "run", "scopes", "service", "set", "task", "upstreams"];
    ProxyRefresh = "proxy.refresh" ["client"];
    ProxyUpstreams = "proxy.upstreams" ["sha256", "upstreams"];
    QueueCondemn = "queue.condemn" ["messages", "namespace"];
    QueueDelete = "queue.delete" ["messages", "namespace", "why"];
    QueueLimit = "queue.limit" ["messages", "overflow", "why"];
    QueuePurge = "queue.purge" ["messages", "namespace"];
    QueueRuleRemove = "queue_rule.remove" [];
    QueueRuleSet = "queue_rule.set" ["rule"];
    QueueUnlimit = "queue.unlimit" ["messages", "why"];
    RelayAccount = "relay.account" ["why"];
    RelayAdopt = "relay.adopt" ["owner", "note"];
    RelayApply = "relay.apply" ["done", "failed", "left"];
    RelayAttempt = "relay.attempt" ["step", "why"];
    RelayClose = "relay.close" ["connections"];
    RelayDeclare = "relay.declare" ["why"];
    RelayDeleteUser = "relay.delete_user" ["why"];
    RelayEnter = "relay.enter" ["user"];
    RelayLend = "relay.lend" ["account", "expires", "part"];
    RelayProfile = "relay.profile" ["sha256"];
    RelayRelease = "relay.release" ["users"];
    RelayRemove = "relay.remove" ["why"];
    RelayRender = "relay.render" [];
    RelayRenew = "relay.renew" ["account"];
    RelayRevoke = "relay.revoke" ["accounts"];
    RelayRotate = "relay.rotate" ["account", "next_rotation"];
    RoleCreate = "role.create" ["scopes"];
    RoleDelete = "role.delete" [];
    ServicesOpen = "services.open" ["run", "services", "task", "worker_type"];
    SessionRevoke = "session.revoke" ["session", "sessions"];
    StoreRestore = "store.restore" ["accounts", "doubted", "lastEntry", "made"];
    WrapForget = "wrap.forget" ["wraps"];
    WrapMake = "wrap.make" ["kind", "until", "wrap"];
    WrapOpen = "wrap.open" ["by", "kind", "wrap"];
    WrapRevoke = "wrap.revoke" ["kind", "wrap"];
}

impl Action {
    /// Whether its entries may have a detail of this name.
    pub(super) fn has(self, detail: &str) -> bool {
        self.details().contains(&detail) || COMMON_DETAILS.contains(&detail)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
