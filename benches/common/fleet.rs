//! What the agents of a fleet send.

use keylender::base::Timestamp;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use super::node::Node;

pub const VHOST: &str = "mig";
pub const EXCHANGE: &str = "toschedulers";
pub const KEY: &str = "mig.agt.heartbeats";

/// Publishes heartbeats as agents do.
pub struct Publisher {
    channel: Channel,
    _connection: Connection,
}

impl Publisher {
    pub async fn start(node: &Node) -> Self {
        let (user, password) = (&node.settings.username, node.settings.password.expose());
        let uri = format!("amqp://{user}:{password}@127.0.0.1:{}/{VHOST}", node.amqp_port);
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { channel, _connection: connection }
    }

    pub async fn send(&self, bodies: &[Vec<u8>]) {
        let mut confirms = Vec::new();
        for body in bodies {
            let properties = BasicProperties::default().with_delivery_mode(2).with_expiration("3000000".into());
            let options = BasicPublishOptions::default();
            confirms.push(
                self.channel.basic_publish(EXCHANGE.into(), KEY.into(), options, body, properties).await.unwrap(),
            );
        }
        for confirm in confirms {
            confirm.await.unwrap();
        }
    }
}

/// One of 2018, as long as recorded ones.
pub fn heartbeat(number: u32, sent: Timestamp) -> Vec<u8> {
    format!(
        r#"{{"name":"h{number}","queueloc":"linux.a{number}","mode":"daemon","version":"20181001+abcdef0.prod","pid":{},"starttime":"{sent}","destructiontime":"0001-01-01T00:00:00Z","heartbeatts":"{sent}","refreshts":"2026-11-21T02:36:43.220644681Z","environment":{{"init":"upstart","ident":"Debian 12 bookworm","os":"linux","arch":"amd64","isproxied":false,"addresses":["192.0.2.2/24","fd00::2/64","fe80::fc:ff:fe00:1/64"],"aws":{{}},"modules":["timedrift","agentdestroy","fswatch","sshkey","pkg","scribe","file","netstat","ping"]}},"tags":{{"operator":"MyFavoriteAdminTeam"}}}}"#,
        1000 + number
    )
    .into_bytes()
}
