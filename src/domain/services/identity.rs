//! By which name an image is delegated to: decided before anything runs, by what the engine says of it, and never by a tag.

use crate::base::{Error, ImageId, LocalImage, Result, WorkerType};
use crate::proto::services::ImageName;

/// Where engines say that an image is which no registry knows: podman gives one to what was imported or built under a short name,
/// Docker with the store of containerd, too (containers.md).
const OF_NO_REGISTRY: &str = "localhost/";
/// Digests of one image that are looked at: podman lists the one of the index beside that of the manifest, for each repository.
const DIGESTS_MAX: usize = 16;

/// What the engine of a worker says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// What it calls it.
    pub id: ImageId,
    /// Where it came from: `<repository>@<manifest digest>` each.
    pub repo_digests: Vec<String>,
    /// The program that a command cannot replace, with its first arguments.
    pub entrypoint: Vec<String>,
    /// Whether the image says that it takes a command for what it is, the words of a stranger.
    pub takes_commands: bool,
}

/// A name by which an image may be delegated to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// By which.
    pub id: ImageId,
    /// How that came, in words.
    pub how: String,
}

/// The names by which an image may be delegated to, all of which mean the very same image. The digest of a manifest is equal on every
/// engine and store; what an engine calls an image is not, and one that was imported locally has nothing that another worker
/// shares: it is delegated to only where the operator names it. `Err` with the reason when there is none.
///
/// # Errors
/// `Conflict` for an image that is not the one that the payload names, and for one of too many digests.
pub fn identify(
    image: &ImageName,
    facts: &ImageFacts,
    worker_type: &WorkerType,
    named: &[LocalImage],
) -> Result<std::result::Result<Vec<Identity>, String>> {
    let digests = digests(facts);
    let wanted = image.digest().or_else(|| image.is_id().then(|| image.as_str()));
    let is_wanted = digests.iter().find(|(_, id)| Some(id.as_str()) == wanted);
    if wanted.is_some_and(|wanted| is_wanted.is_none() && !(image.is_id() && facts.id.as_str() == wanted)) {
        let has = listed(&digests, facts);
        return Err(Error::conflict(format!("the image {image} is not what the engine has: {has}")));
    }
    if named.iter().any(|local| local.worker_type == *worker_type && local.id == facts.id) {
        let how = "its id, which SERVICES_LOCAL_IMAGES names for these workers".into();
        return Ok(Ok(vec![Identity { id: facts.id.clone(), how }]));
    }
    if let Some((_, id)) = is_wanted {
        let how = "the digest of the manifest, which the payload names".into();
        return Ok(Ok(vec![Identity { id: id.clone(), how }]));
    }
    // The repository that is named stands first; a tag that somebody gave to an image of another one leads to the same digest.
    let mut all = digests.clone();
    all.sort_by_key(|(repository, _)| image.repository() != Some(repository.as_str()));
    let mut candidates: Vec<Identity> = Vec::new();
    for (repository, id) in all {
        if candidates.iter().all(|candidate| candidate.id != id) {
            candidates
                .push(Identity { id, how: format!("the digest of the manifest in {repository}, as the engine says") });
        }
    }
    match candidates.len() {
        0 => Ok(Err(format!(
            "it came from no registry, so that no other worker knows it: nothing is delegated to it unless \
             SERVICES_LOCAL_IMAGES has {worker_type}/{}",
            facts.id
        ))),
        1..=DIGESTS_MAX => Ok(Ok(candidates)),
        _ => Err(Error::conflict(format!(
            "the image {image} has more than {DIGESTS_MAX} digests: name the one that is meant"
        ))),
    }
}

/// The digests of manifests of registries. What cannot be one is none, such as digests of another kind.
fn digests(facts: &ImageFacts) -> Vec<(String, ImageId)> {
    let read = |text: &String| {
        let (repository, digest) = text.split_once('@')?;
        let name = ImageName::parse(repository).ok()?;
        let repository = name.repository()?.to_owned();
        Some((repository, ImageId::parse(digest).ok()?))
    };
    let of_registry = |(repository, _): &(String, ImageId)| !repository.starts_with(OF_NO_REGISTRY);
    facts.repo_digests.iter().filter_map(read).filter(of_registry).collect()
}

fn listed(digests: &[(String, ImageId)], facts: &ImageFacts) -> String {
    let listed: Vec<_> = digests.iter().map(|(repository, id)| format!("{repository}@{id}")).collect();
    if listed.is_empty() {
        format!("it has {}, which came from no registry and is named by a tag or by that id", facts.id)
    } else {
        format!("it has {}", listed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> ImageId {
        ImageId::parse(&format!("sha256:{}", digit.to_string().repeat(64))).unwrap()
    }

    fn facts(digests: &[(&str, char)]) -> ImageFacts {
        let repo_digests = digests.iter().map(|(repository, digit)| format!("{repository}@{}", id(*digit))).collect();
        ImageFacts { id: id('0'), repo_digests, entrypoint: Vec::new(), takes_commands: false }
    }

    /// The last letters of all names.
    fn identified(image: &str, facts: &ImageFacts, named: &[LocalImage]) -> Result<String> {
        let worker_type = WorkerType::parse("aws/gecko").unwrap();
        let identities = identify(&ImageName::parse(image).unwrap(), facts, &worker_type, named)?.unwrap_or_default();
        Ok(identities.iter().filter_map(|identity| identity.id.as_str().chars().last()).collect())
    }

    #[test]
    fn a_tag_is_no_more_than_the_way_to_a_digest() {
        let one = facts(&[("docker.io/library/postgres", 'a')]);
        for image in ["postgres", "postgres:16", "docker.io/library/postgres:9", "mine/renamed:1"] {
            assert_eq!(identified(image, &one, &[]).unwrap(), "a", "{image}");
        }
        // As Docker writes what it pulled from its own registry.
        assert_eq!(identified("postgres", &facts(&[("postgres", 'a')]), &[]).unwrap(), "a");
    }

    #[test]
    fn several_digests_are_names_of_the_same_image_and_the_repository_that_is_named_stands_first() {
        // The index and the manifest of this platform, as podman lists them.
        let two = facts(&[("docker.io/library/postgres", 'a'), ("docker.io/library/postgres", 'b')]);
        assert_eq!(identified("postgres:16", &two, &[]).unwrap(), "ab");
        let mirrored = facts(&[("docker.io/library/postgres", 'a'), ("quay.io/mirror/postgres", 'b')]);
        assert_eq!(identified("quay.io/mirror/postgres", &mirrored, &[]).unwrap(), "ba");
        assert_eq!(identified("renamed", &mirrored, &[]).unwrap(), "ab");
        let same = facts(&[("quay.io/a", 'a'), ("quay.io/b", 'a')]);
        assert_eq!(identified("renamed", &same, &[]).unwrap(), "a");
        let many: Vec<_> = "0123456789abcdef".chars().map(|digit| ("quay.io/a", digit)).collect();
        assert_eq!(identified("a", &facts(&many), &[]).unwrap().len(), 16);
    }

    #[test]
    fn a_digest_or_an_id_in_the_payload_is_the_image_that_the_engine_has() {
        let two = facts(&[("postgres", 'a'), ("postgres", 'c')]);
        assert_eq!(identified(&format!("postgres@{}", id('a')), &two, &[]).unwrap(), "a");
        assert_eq!(identified(&format!("postgres:16@{}", id('a')), &two, &[]).unwrap(), "a");
        assert!(identified(&format!("postgres@{}", id('b')), &two, &[]).is_err());
        // What the engine calls it: the way to its digests, as a tag is.
        assert_eq!(identified(id('0').as_str(), &two, &[]).unwrap(), "ac");
        assert!(identified(id('b').as_str(), &two, &[]).is_err());
        // With Docker's other store that is the digest itself.
        assert_eq!(identified(id('a').as_str(), &two, &[]).unwrap(), "a");
    }

    #[test]
    fn what_came_from_no_registry_is_delegated_to_only_where_it_is_named() {
        let named = |text: &str| [format!("{text}/{}", id('0')).parse::<LocalImage>().unwrap()];
        for local in [facts(&[]), facts(&[("localhost/bb", 'c')])] {
            assert_eq!(identified("localhost/bb:1", &local, &[]).unwrap(), "");
            assert_eq!(identified("localhost/bb:1", &local, &named("aws/gecko")).unwrap(), "0");
            assert_eq!(identified("localhost/bb:1", &local, &named("aws/other")).unwrap(), "");
            assert_eq!(identified(id('0').as_str(), &local, &named("aws/gecko")).unwrap(), "0");
            // The digest that an engine made up is no identity.
            assert!(identified(&format!("localhost/bb@{}", id('c')), &local, &[]).is_err());
        }
        // Who names it knows that it was built here, whatever it is called.
        let built = facts(&[("reg.example/built", 'd')]);
        assert_eq!(identified("reg.example/built", &built, &named("aws/gecko")).unwrap(), "0");
    }

    #[test]
    fn what_cannot_be_a_digest_is_none() {
        for digest in ["postgres", "postgres@md5:1", "@sha256:", "postgres:1@", "p p@sha256:00", "a@sha512:00"] {
            let facts = ImageFacts { repo_digests: vec![digest.into()], ..facts(&[]) };
            assert_eq!(identified("postgres", &facts, &[]).unwrap(), "", "{digest}");
        }
    }
}
