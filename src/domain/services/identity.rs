//! By which name an image is delegated to: decided before anything runs, by what the engine says of it, and never by a tag.

use crate::base::{Error, ImageId, LocalImage, Result, WorkerType};
use crate::proto::services::ImageName;

/// Where engines say that an image is which no registry knows: podman gives one to everything that was imported, Docker with
/// the store of containerd, too (containers.md).
const OF_NO_REGISTRY: &str = "localhost/";

/// What the engine of a worker says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// What it calls it.
    pub id: ImageId,
    /// Where it came from: `<repository>@<manifest digest>` each.
    pub repo_digests: Vec<String>,
    /// The program that a command cannot replace, with its first arguments.
    pub entrypoint: Vec<String>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// By which it is delegated to; none is not at all.
    pub id: Option<ImageId>,
    /// How that came, in words.
    pub how: String,
}

/// Decides. The digest of a manifest is equal on every engine and store; what an engine calls an image is not, and one that was
/// imported locally has nothing that another worker shares: it is delegated to only where the operator names it.
///
/// # Errors
/// `Conflict` for an image that is not the one that the payload names, and for one of several digests.
pub fn decide(
    image: &ImageName,
    facts: &ImageFacts,
    worker_type: &WorkerType,
    named: &[LocalImage],
) -> Result<Identity> {
    let digests = digests(facts)?;
    if let Some(wanted) = image.digest().or_else(|| image.is_id().then(|| image.as_str())) {
        // An engine lists under a digest what it pulled by it; what it calls an image may be the digest, too.
        let is_it = digests.iter().any(|(_, id)| id.as_str() == wanted);
        if !is_it && !(image.is_id() && facts.id.as_str() == wanted) {
            return Err(Error::conflict(format!(
                "the image {image} is not what the engine has: it says {}",
                listed(&digests, facts)
            )));
        }
        if is_it {
            let id = ImageId::parse(wanted)?;
            return Ok(Identity { id: Some(id), how: "the digest of the manifest, which the payload names".into() });
        }
    }
    let of_repository = |(repository, _): &&(String, ImageId)| image.repository() == Some(repository.as_str());
    let own: Vec<_> = digests.iter().filter(of_repository).collect();
    // A tag that somebody gave to an image of another repository: the digest is the same wherever it came from.
    let all: Vec<_> = if own.is_empty() { digests.iter().collect() } else { own };
    match all[..] {
        [] => Ok(local(facts, worker_type, named)),
        [(repository, id), ref others @ ..] if others.iter().all(|(_, other)| other == id) => {
            Ok(Identity { id: Some(id.clone()), how: format!("the digest of the manifest in {repository}") })
        }
        _ => Err(Error::conflict(format!(
            "the image {image} has several digests ({}): name the one that is meant, as in {image}@sha256:…",
            listed(&digests, facts)
        ))),
    }
}

fn local(facts: &ImageFacts, worker_type: &WorkerType, named: &[LocalImage]) -> Identity {
    let is_named = named.iter().any(|local| local.worker_type == *worker_type && local.id == facts.id);
    if is_named {
        Identity {
            id: Some(facts.id.clone()),
            how: "its id, which SERVICES_LOCAL_IMAGES names for these workers".into(),
        }
    } else {
        Identity {
            id: None,
            how: format!(
                "it came from no registry, so that no other worker knows it: nothing is delegated to it unless \
                 SERVICES_LOCAL_IMAGES has {worker_type}/{}",
                facts.id
            ),
        }
    }
}

/// The digests of manifests of registries.
fn digests(facts: &ImageFacts) -> Result<Vec<(String, ImageId)>> {
    let mut digests = Vec::new();
    for text in &facts.repo_digests {
        let wrong = || Error::invalid("the digest of an image is like docker.io/library/postgres@sha256:…");
        let (repository, digest) = text.split_once('@').ok_or_else(wrong)?;
        let name = ImageName::parse(repository).map_err(|_| wrong())?;
        let repository = name.repository().ok_or_else(wrong)?;
        if !repository.starts_with(OF_NO_REGISTRY) {
            digests.push((repository.to_owned(), ImageId::parse(digest)?));
        }
    }
    Ok(digests)
}

fn listed(digests: &[(String, ImageId)], facts: &ImageFacts) -> String {
    let listed: Vec<_> = digests.iter().map(|(repository, id)| format!("{repository}@{id}")).collect();
    if listed.is_empty() { facts.id.to_string() } else { listed.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ImageId {
        ImageId::parse(&format!("sha256:{}", digit.to_string().repeat(64))).unwrap()
    }

    fn facts(digests: &[(&str, char)]) -> ImageFacts {
        let repo_digests = digests.iter().map(|(repository, digit)| format!("{repository}@{}", id(*digit))).collect();
        ImageFacts { id: id('0'), repo_digests, entrypoint: Vec::new() }
    }

    fn decided(image: &str, facts: &ImageFacts, named: &[LocalImage]) -> Result<Option<char>> {
        let worker_type = WorkerType::parse("aws/gecko").unwrap();
        let identity = decide(&ImageName::parse(image).unwrap(), facts, &worker_type, named)?;
        Ok(identity.id.and_then(|id| id.as_str().chars().last()))
    }

    #[test]
    fn a_tag_is_no_more_than_the_way_to_a_digest() {
        let one = facts(&[("docker.io/library/postgres", 'a')]);
        for image in ["postgres", "postgres:16", "docker.io/library/postgres:9", "mine/renamed:1"] {
            assert_eq!(decided(image, &one, &[]).unwrap(), Some('a'), "{image}");
        }
        // As Docker writes what it pulled from its own registry.
        assert_eq!(decided("postgres", &facts(&[("postgres", 'a')]), &[]).unwrap(), Some('a'));
    }

    #[test]
    fn of_several_digests_that_of_the_repository_counts_and_none_is_guessed() {
        let two = facts(&[("docker.io/library/postgres", 'a'), ("quay.io/mirror/postgres", 'b')]);
        assert_eq!(decided("postgres:16", &two, &[]).unwrap(), Some('a'));
        assert_eq!(decided("quay.io/mirror/postgres", &two, &[]).unwrap(), Some('b'));
        assert!(decided("renamed", &two, &[]).is_err());
        assert!(decided("postgres", &facts(&[("postgres", 'a'), ("postgres", 'b')]), &[]).is_err());
        let same = facts(&[("quay.io/a", 'a'), ("quay.io/b", 'a')]);
        assert_eq!(decided("renamed", &same, &[]).unwrap(), Some('a'));
    }

    #[test]
    fn a_digest_or_an_id_in_the_payload_is_the_image_that_the_engine_has() {
        let one = facts(&[("postgres", 'a')]);
        assert_eq!(decided(&format!("postgres@{}", id('a')), &one, &[]).unwrap(), Some('a'));
        assert_eq!(decided(&format!("postgres:16@{}", id('a')), &one, &[]).unwrap(), Some('a'));
        assert!(decided(&format!("postgres@{}", id('b')), &one, &[]).is_err());
        // What the engine calls it: the way to its digest, as a tag is.
        assert_eq!(decided(id('0').as_str(), &one, &[]).unwrap(), Some('a'));
        assert!(decided(id('b').as_str(), &one, &[]).is_err());
        // With Docker's other store that is the digest itself.
        assert_eq!(decided(id('a').as_str(), &one, &[]).unwrap(), Some('a'));
    }

    #[test]
    fn what_came_from_no_registry_is_delegated_to_only_where_it_is_named() {
        let named = |text: &str| [format!("{text}/{}", id('0')).parse::<LocalImage>().unwrap()];
        for local in [facts(&[]), facts(&[("localhost/bb", 'c')])] {
            assert_eq!(decided("localhost/bb:1", &local, &[]).unwrap(), None);
            assert_eq!(decided("localhost/bb:1", &local, &named("aws/gecko")).unwrap(), Some('0'));
            assert_eq!(decided("localhost/bb:1", &local, &named("aws/other")).unwrap(), None);
            assert_eq!(decided(id('0').as_str(), &local, &named("aws/gecko")).unwrap(), Some('0'));
            // The digest that an engine made up is no identity.
            assert!(decided(&format!("localhost/bb@{}", id('c')), &local, &[]).is_err());
        }
    }

    #[test]
    fn what_an_engine_says_is_read_strictly() {
        for digest in ["postgres", "postgres@md5:1", "@sha256:", "postgres:1@", "p p@sha256:00"] {
            let facts = ImageFacts { repo_digests: vec![digest.into()], ..facts(&[]) };
            assert!(decided("postgres", &facts, &[]).is_err(), "{digest}");
        }
    }
}
