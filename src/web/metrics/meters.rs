//! What is counted of requests. Fixed arrays of atomic numbers: a request takes no lock and allocates nothing here, and
//! what a client sends becomes no label.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};

use crate::base::meter::{Counter, Histogram};
use crate::base::{Kind, Result};

/// Places for patterns of routes: three times as many as there are routes, so that one is found at once.
const ROUTES_MAX: usize = 512;
/// The place of requests that met no route.
const NO_ROUTE: usize = 0;

/// Kinds of methods, as a label.
pub(super) const METHODS: [&str; 3] = ["read", "write", "other"];
/// Kinds of answers, as a label.
pub(super) const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// What is lent, as a label.
pub(super) const LENDS: [&str; 4] = ["namespace", "host-credentials", "relay-account", "agent"];
/// How lending ended, as a label.
pub(super) const OUTCOMES: [&str; 3] = ["lent", "refused", "failed"];
/// Why an API refused a caller, as a label.
pub(super) const DENIALS: [&str; 3] = ["credentials", "scopes", "limit"];
/// How a caller whose credentials are wrong showed them, as a label.
pub(super) const SCHEMES: [&str; 4] = ["hawk", "bearer", "bewit", "other"];

#[derive(Clone, Copy)]
pub enum Lend {
    /// A claim of a namespace.
    Namespace = 0,
    /// The credentials of a machine.
    HostCredentials = 1,
    /// The login of an account of the relay.
    RelayAccount = 2,
    /// The login of an agent.
    Agent = 3,
}

#[derive(Default)]
pub(super) struct Route {
    pattern: OnceLock<Box<str>>,
    pub(super) requests: [[Counter; STATUSES.len()]; METHODS.len()],
    pub(super) took: Histogram,
}

impl Route {
    /// The pattern as it is written in the router; nothing while the place is free.
    pub(super) fn pattern(&self) -> Option<&str> {
        self.pattern.get().map(AsRef::as_ref)
    }
}

/// Counts of requests since the start.
pub struct Meters {
    routes: Box<[Route]>,
    pub(super) lends: [[Counter; OUTCOMES.len()]; LENDS.len()],
    pub(super) denials: [Counter; DENIALS.len()],
    pub(super) failures: [Counter; SCHEMES.len()],
}

impl Default for Meters {
    fn default() -> Self {
        let routes: Box<[Route]> = (0..ROUTES_MAX).map(|_| Route::default()).collect();
        // It is new, so the place is free.
        let _ = routes[NO_ROUTE].pattern.set("none".into());
        Self { routes, lends: Default::default(), denials: Default::default(), failures: Default::default() }
    }
}

/// Where the route of a request is noted once it is known.
#[derive(Debug, Default)]
pub struct RouteMark(AtomicUsize);

impl Meters {
    /// Notes which pattern a request met. Patterns are those of the router, so there are few; what has no place counts as
    /// no route.
    pub fn note_route(&self, mark: &RouteMark, pattern: &str) {
        mark.0.store(self.slot_of(pattern), Ordering::Relaxed);
    }

    fn slot_of(&self, pattern: &str) -> usize {
        let begin = hash(pattern);
        let places =
            (0..ROUTES_MAX).map(|step| begin.wrapping_add(step) % ROUTES_MAX).filter(|place| *place != NO_ROUTE);
        for place in places {
            if &**self.routes[place].pattern.get_or_init(|| pattern.into()) == pattern {
                return place;
            }
        }
        NO_ROUTE
    }

    /// Counts a request that was answered.
    pub fn count_request(&self, mark: &RouteMark, method: &Method, status: StatusCode, took: Duration) {
        let route = &self.routes[mark.0.load(Ordering::Relaxed)];
        let method = match *method {
            Method::GET | Method::HEAD => 0,
            Method::POST | Method::PUT | Method::DELETE => 1,
            _ => 2,
        };
        let status = usize::from(status.as_u16() / 100).clamp(1, STATUSES.len()) - 1;
        route.requests[method][status].one();
        route.took.add(took);
    }

    /// Counts an attempt to lend, and hands its outcome on.
    pub fn lent<T>(&self, lend: Lend, outcome: Result<T>) -> Result<T> {
        let how = match &outcome {
            Ok(_) => 0,
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Busy | Kind::Internal) => 2,
            Err(_) => 1,
        };
        self.lends[lend as usize][how].one();
        outcome
    }

    /// Counts a call that an API refused. Machines are refused for causes of their own, which are counted elsewhere.
    pub fn count_refusal(&self, kind: Kind, code: Option<&str>) {
        match kind {
            Kind::Unauthenticated => self.denials[0].one(),
            Kind::Forbidden if code != Some(crate::domain::hosts::REFUSAL_CODE) => self.denials[1].one(),
            Kind::Limited => self.denials[2].one(),
            _ => {}
        }
    }

    /// Counts credentials that were wrong.
    pub fn count_failure(&self, authorization: Option<&str>) {
        let is = |scheme: &str| {
            let begin = authorization.and_then(|text| text.get(..scheme.len()));
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
        };
        let scheme = match authorization {
            None => 2,
            Some(_) if is("hawk ") => 0,
            Some(_) if is("bearer ") => 1,
            Some(_) => 3,
        };
        self.failures[scheme].one();
    }

    /// The routes that were met, and none.
    pub(super) fn routes(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.routes.iter().filter_map(|route| Some((route.pattern()?, route)))
    }
}

/// FNV-1a: short texts that nobody chooses, so nothing better is needed.
fn hash(text: &str) -> usize {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    // What is cut off is no loss: it is a place.
    (hash ^ (hash >> 32)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_patterns_than_places_count_as_no_route() {
        let meters = Meters::default();
        for number in 0..2 * ROUTES_MAX {
            let mark = RouteMark::default();
            meters.note_route(&mark, &format!("/{number}"));
            meters.count_request(&mark, &Method::GET, StatusCode::OK, Duration::ZERO);
        }
        assert_eq!(meters.routes().count(), ROUTES_MAX);
        let counted: u64 = meters.routes().map(|(_, route)| route.requests[0][1].count()).sum();
        assert_eq!(counted, 2 * ROUTES_MAX as u64);
        assert_eq!(meters.slot_of("/1"), meters.slot_of("/1"));
    }
}
