//! Settings of services beside tasks: their networks, their images, and how much each may take.

use ipnet::Ipv4Net;

use super::parse::{self, Parsed, expected, within};
use super::reader::Reader;
use super::setting::{Optional, Setting};
use crate::base::LocalImage;
use crate::domain::services::{Config, Limits};

/// A pool that holds the largest set a payload can name, with the task's network, and no more than a private block of IPv4.
const PREFIX_LENS: std::ops::RangeInclusive<u8> = 8..=23;
/// Engines refuse less (Docker 28: 6 MiB).
const MEMORY_MIN: u64 = 6 << 20;
/// A program with a few threads; no more than Linux has.
const PROCESSES: std::ops::RangeInclusive<u32> = 8..=4_194_304;
/// Images that are named: each is a decision of a person.
const LOCAL_IMAGES_MAX: usize = 1000;

pub(super) const NETWORK: Setting<Ipv4Net> =
    Setting::new("SERVICES_NETWORK", "services-network", "10.231.0.0/16", network).help(
        "where networks of services beside tasks are taken from: addresses that nothing else has on hosts of workers",
    );
pub(super) const LOCAL_IMAGES: Optional<Vec<LocalImage>> =
    Optional::new("SERVICES_LOCAL_IMAGES", "services-local-images", local_images).help(
        "images of no registry that scopes are delegated to, by a role of the same end: \
         <provisionerId>/<workerType>/<image id>, separated by commas",
    );
pub(super) const MEMORY_MAX: Setting<u64> =
    Setting::new("SERVICES_MEMORY_MAX", "services-memory-max", "2 GiB", |text| parse::size(text).and_then(memory))
        .help("memory that a service may take");
pub(super) const PROCESSES_MAX: Setting<u32> =
    Setting::new("SERVICES_PROCESSES_MAX", "services-processes-max", "1024", |text| {
        within(text, "a number", PROCESSES)
    })
    .help("processes and threads that a service may have");
pub(super) const LOG_SIZE_MAX: Setting<u64> =
    Setting::new("SERVICES_LOG_SIZE_MAX", "services-log-size-max", "16 MiB", parse::size)
        .help("how much of the log of a service its engine keeps");

pub(super) fn services(read: &mut Reader) -> Config {
    Config {
        pool: read.get(&NETWORK),
        local_images: read.find(&LOCAL_IMAGES).unwrap_or_default(),
        limits: Limits {
            memory_len: read.get(&MEMORY_MAX),
            processes: read.get(&PROCESSES_MAX),
            log_len: read.get(&LOG_SIZE_MAX),
        },
    }
}

fn memory(bytes: u64) -> Parsed<u64> {
    if bytes < MEMORY_MIN { expected("6 MiB or more", &bytes.to_string()) } else { Ok(bytes) }
}

fn network(text: &str) -> Parsed<Ipv4Net> {
    let network: Ipv4Net = parse::of(text).or_else(|_: String| expected("a network such as 10.231.0.0/16", text))?;
    if network.trunc() != network || !PREFIX_LENS.contains(&network.prefix_len()) {
        let (least, most) = (PREFIX_LENS.start(), PREFIX_LENS.end());
        return expected(&format!("a whole network from /{least} to /{most}"), text);
    }
    Ok(network)
}

fn local_images(text: &str) -> Parsed<Vec<LocalImage>> {
    let images = text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(parse::of);
    let images = images.collect::<Parsed<Vec<LocalImage>>>()?;
    if images.len() > LOCAL_IMAGES_MAX {
        return expected(&format!("at most {LOCAL_IMAGES_MAX} images"), &format!("{}", images.len()));
    }
    Ok(images)
}
