//! Names that are believed only when they are signed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::DNSKEY;
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey};
use hickory_resolver::proto::rr::{Name, RData, Record, rdata};
use hickory_server::dnssec::NxProofKind;
use hickory_server::server::Server;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};

use crate::dns::{DnsServer, reverse};
use crate::hosts::{HOST, NAME, ask_from, lent, set_up};
use crate::world::World;

const DAY: Duration = Duration::from_secs(86_400);
/// An address whose name leads nowhere.
const HALF: &str = "192.0.2.8";

/// A root zone that holds both trees, signed, and the file of its key.
async fn signed_zone(anchor: &Path) -> SocketAddr {
    let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap()).unwrap();
    let public = DNSKEY::from_key(&key.to_public_key().unwrap());
    let flagged = DNSKEY::with_flags(257, public.public_key().clone());
    std::fs::write(anchor, format!(". 3600 IN DNSKEY {flagged}\n")).unwrap();

    let mut zone = InMemoryZoneHandler::<TokioRuntimeProvider>::empty(
        Name::root(),
        ZoneType::Primary,
        AxfrPolicy::Deny,
        Some(NxProofKind::Nsec),
    );
    let soa = rdata::SOA::new(Name::root(), Name::root(), 1, 3600, 3600, 3600, 60);
    let host = NAME.parse::<Name>().unwrap();
    for (name, data) in [
        (Name::root(), RData::SOA(soa)),
        (Name::root(), RData::NS(rdata::NS("ns.example.".parse().unwrap()))),
        (reverse(HOST).parse().unwrap(), RData::PTR(rdata::PTR(host.clone()))),
        (reverse(HALF).parse().unwrap(), RData::PTR(rdata::PTR("gone.example.org.".parse().unwrap()))),
        (host, RData::from(HOST.parse::<IpAddr>().unwrap())),
    ] {
        let mut name: Name = name;
        name.set_fqdn(true);
        assert!(zone.upsert_mut(Record::from_rdata(name, 3600, data), 1));
    }
    zone.add_zone_signing_key_mut(DnssecSigner::new(flagged, Box::new(key), Name::root(), DAY)).unwrap();
    zone.secure_zone_mut().unwrap();

    let mut catalog = Catalog::new();
    catalog.upsert(Name::root().into(), vec![Arc::new(zone)]);
    let mut server = Server::new(catalog);
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = udp.local_addr().unwrap();
    if let Ok(tcp) = TcpListener::bind(address).await {
        server.register_listener(tcp, Duration::from_secs(5), 4096);
    }
    server.register_socket(udp);
    tokio::spawn(async move { server.block_until_done().await });
    address
}

async fn world(server: SocketAddr, anchor: &Path) -> World {
    World::with(|settings| {
        set_up(settings, &[]);
        settings.hosts.dns.servers = Some(vec![server]);
        settings.hosts.dns.dnssec = true;
        settings.hosts.dns.trust_anchor = Some(anchor.to_owned());
        settings.hosts.dns.timeout = Duration::from_secs(5);
    })
    .await
}

async fn verdict(world: &World, address: &str) -> Value {
    world.operate("GET", &format!("/hosts/{address}/check"), None).await
}

#[tokio::test]
async fn with_dnssec_only_signed_names_are_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (anchor, other) = (dir.path().join("anchor"), dir.path().join("other"));
    let (server, stranger) = (signed_zone(&anchor).await, signed_zone(&other).await);

    let signed = world(server, &anchor).await;
    assert_eq!(lent(&ask_from(&signed, HOST).await).0, "project/host/org.example.builder-1");
    let shown = verdict(&signed, HALF).await;
    assert_eq!(shown["verdict"], "no-address", "that there is nothing is signed, too: {shown}");

    let by_another_key = world(stranger, &anchor).await;
    assert_eq!(ask_from(&by_another_key, HOST).await.status, 403);
    let shown = verdict(&by_another_key, HOST).await;
    assert_eq!(shown["verdict"], "unanswered", "{shown}");

    let plain = DnsServer::start().await;
    plain.host(HOST, NAME);
    let unsigned = world(plain.address, &anchor).await;
    assert_eq!(ask_from(&unsigned, HOST).await.status, 403);
    assert_eq!(verdict(&unsigned, HOST).await["verdict"], json!("unanswered"));
    assert_eq!(
        verdict(&unsigned, HALF).await["verdict"],
        json!("unanswered"),
        "nor an unsigned word that there is nothing"
    );
}
