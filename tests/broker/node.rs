//! The private RabbitMQ node that all tests of this binary share. It starts with the first test that asks for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use keylender::base::{Secret, VhostName};
use keylender::ports::amqp::AmqpDoor;
use keylender::ports::broker::{ManagementBroker, ManagementSettings};
use keylender::ports::resolve::Resolver;
use keylender::ports::tls::{ClientCertificate, Tls, install_crypto};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Longer than the script itself waits, so that its own message is what we see.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// A certificate authority, another one below it as public ones have, whose server certificate is for `localhost` and for a
/// name that a test's DNS has, and a client certificate.
const MAKE_CERTIFICATES: &str = "
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $1.key; }
sign() {
    key $2 && openssl req -new -key $2.key -subj /CN=$2 -out $2.csr
    openssl x509 -req -in $2.csr -CA $1.pem -CAkey $1.key -CAcreateserial -days 2 -extfile $2.ext -out $2.pem
}
key ca && openssl req -x509 -new -key ca.key -subj '/CN=test authority' -days 2 -out ca.pem
echo 'basicConstraints=critical,CA:true' >issuer.ext
echo 'subjectAltName=DNS:localhost,DNS:broker.test' >server.ext
echo 'extendedKeyUsage=clientAuth' >client.ext
sign ca issuer && sign issuer server && sign ca client
cat issuer.pem >>server.pem
";

/// TLS on both doors, for clients that show a certificate.
const TLS_CONFIGURATION: &str = "
listeners.ssl.1 = 127.0.0.1:@AMQPS_PORT@
ssl_options.cacertfile = @DIR@/ca.pem
ssl_options.certfile = @DIR@/server.pem
ssl_options.keyfile = @DIR@/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
management.ssl.ip = 127.0.0.1
management.ssl.port = @MANAGEMENT_TLS_PORT@
management.ssl.cacertfile = @DIR@/ca.pem
management.ssl.certfile = @DIR@/server.pem
management.ssl.keyfile = @DIR@/server.key
management.ssl.verify = verify_peer
management.ssl.fail_if_no_peer_cert = true
";

/// A running node: where it is and who its administrator is.
pub struct Node {
    dir: PathBuf,
    pub amqp_port: u16,
    pub amqps_port: u16,
    pub management_port: u16,
    pub management_tls_port: u16,
    pub username: String,
    pub password: Secret,
}

/// One that is started once, or could not be: each test then fails at once, instead of waiting for it again.
struct Started(OnceLock<Result<Node, String>>);

impl Started {
    const fn new() -> Self {
        Self(OnceLock::new())
    }

    fn node(&self, name: &str, configuration: &str) -> &Node {
        match self.0.get_or_init(|| start(name, configuration)) {
            Ok(node) => node,
            Err(problem) => panic!("{problem}"),
        }
    }
}

/// The node. The script that runs it watches this process, so it stops even when a test aborts.
pub fn node() -> &'static Node {
    static NODE: Started = Started::new();
    NODE.node("rabbitmq", "")
}

/// Another one, which keeps no statistics: RabbitMQ's own advice for large sites.
pub fn node_without_statistics() -> &'static Node {
    static NODE: Started = Started::new();
    NODE.node("bare", "management_agent.disable_metrics_collector = true\nmanagement.disable_stats = true\n")
}

fn start(name: &str, configuration: &str) -> Result<Node, String> {
    let pid = std::process::id().to_string();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{pid}"));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("tls.conf"), format!("{TLS_CONFIGURATION}{configuration}")).unwrap();
    let made = Command::new("sh").args(["-euc", MAKE_CERTIFICATES]).current_dir(&dir).output().unwrap();
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));

    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq-node"))
        .args(["run", "--ephemeral", "--parent", &pid])
        .args([&dir, &dir.join("tls.conf")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let env = loop {
        if let Ok(env) = std::fs::read_to_string(dir.join("node.env")) {
            break env;
        }
        if script.try_wait().unwrap().is_some() {
            return Err("the node did not start; see above".to_owned());
        }
        if begun.elapsed() > START_TIMEOUT {
            return Err("the node took too long to start".to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let value = |key: &str| {
        let lines = env.lines().filter_map(|line| line.split_once('='));
        lines.into_iter().find(|(name, _)| *name == key).unwrap().1.to_owned()
    };
    let port = |key: &str| value(key).parse().unwrap();
    Ok(Node {
        dir,
        amqp_port: port("AMQP_PORT"),
        amqps_port: port("AMQPS_PORT"),
        management_port: port("MANAGEMENT_PORT"),
        management_tls_port: port("MANAGEMENT_TLS_PORT"),
        username: value("USERNAME"),
        password: Secret::new(value("PASSWORD")),
    })
}

impl Node {
    /// The administrator's settings for the plain door. Tests change what they are about.
    pub fn settings(&self) -> ManagementSettings {
        ManagementSettings {
            url: format!("http://127.0.0.1:{}/api", self.management_port).parse().unwrap(),
            username: self.username.clone(),
            password: self.password.clone(),
            tls: Tls::default(),
        }
    }

    /// A client as the administrator.
    pub fn broker(&self) -> ManagementBroker {
        broker(&self.settings()).with_door(self.door(&VhostName::parse("/").unwrap()))
    }

    /// What the operator of the broker does over its API, and Keylender does not.
    pub async fn admin(&self, method: &str, path: &str, body: Value) {
        let settings = self.settings();
        let request = client().request(method.parse().unwrap(), format!("{}/{path}", settings.url)).json(&body);
        let answer = request.basic_auth(&settings.username, Some(settings.password.expose())).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }

    /// What the management API tells.
    pub async fn told(&self, path: &str) -> Value {
        let settings = self.settings();
        let request = client().get(format!("{}/{path}", settings.url));
        let answer = request.basic_auth(&settings.username, Some(settings.password.expose())).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Whether this login opens the management API.
    pub async fn can_manage(&self, user: &str, password: &Secret) -> bool {
        let request = client().get(format!("{}/whoami", self.settings().url));
        let answer = request.basic_auth(user, Some(password.expose())).send().await.unwrap();
        answer.status().is_success()
    }

    /// The plain AMQP door to a vhost.
    pub fn door(&self, vhost: &VhostName) -> AmqpDoor {
        let url = format!("amqp://127.0.0.1:{}/{}", self.amqp_port, encoded(vhost.as_str()));
        AmqpDoor::new(&url.parse().unwrap(), Tls::default(), Resolver::system().unwrap()).unwrap()
    }

    /// Trust in the node's authority, without a client certificate.
    pub fn trust(&self) -> Tls {
        Tls { authorities: Some(self.file("ca.pem")), identity: None }
    }

    /// The client certificate that the node's authority signed.
    pub fn certificate(&self) -> ClientCertificate {
        ClientCertificate { certificate: self.file("client.pem"), key: Secret::new(self.file("client.key")) }
    }

    /// One of the files beside the node, such as `ca.pem`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// A name as one segment of a URL.
pub fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

fn client() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

/// A client with these settings.
pub fn broker(settings: &ManagementSettings) -> ManagementBroker {
    ManagementBroker::new(settings, Resolver::system().unwrap()).unwrap()
}
