//! Runs the steps of a pattern over a name, in the order in which PCRE tries.
//!
//! The order does not matter for what fits, but for how long it takes to find out. Erlang gives up after ten million tries,
//! and RabbitMQ 4.3.6 has it give up after 50,000; neither lets the client do then what it wanted. So a match counts here
//! only if it is found soon.

use super::Doubt;
use super::node::{Place, Times, Wanted};
use super::program::{Program, Step};
use super::set::{self, ByteSet};

/// Tries for one name. The libraries count otherwise, mostly less, and anew for each place where a match could begin: of
/// 61,000 pairs of a pattern and a name, Erlang missed none of the 20,000 that match within so many, with 50,000 of its own.
const TRIES_MAX: u32 = 20_000;

/// Names and routing keys of AMQP have 255 bytes, topics of MQTT may have more.
const NAME_LEN_MAX: usize = 4096;

/// A name, of which the end may not be known but for its length.
#[derive(Clone, Copy)]
pub(super) struct Subject<'n> {
    pub(super) name: &'n [u8],
    /// What follows is letters, digits, `_` and `-`, as in names that the broker gives.
    pub(super) known_len: usize,
}

impl<'n> Subject<'n> {
    pub(super) fn known(name: &'n [u8]) -> Self {
        Self { name, known_len: name.len() }
    }

    /// Whether there is a byte of this set.
    fn has(self, set: ByteSet, at: usize) -> Result<bool, Doubt> {
        let Some(byte) = self.name.get(at) else { return Ok(false) };
        if at < self.known_len {
            return Ok(set.has(*byte));
        }
        let unknown = set::in_names();
        let (all, none) = (unknown.is_within(set), unknown.is_within(set.negated_if(true)));
        if all || none { Ok(all) } else { Err(Doubt::ByName) }
    }
}

/// What is done when a way does not lead on.
enum Retreat {
    /// Tries another step at this place.
    Step(usize, usize),
    /// Gives back one byte of many, down to a place.
    Less { step: usize, at: usize, min: usize },
    /// Takes one byte more, up to a place.
    More { step: usize, at: usize, max: usize },
    /// Restores the note of a slot.
    Note(usize, Option<usize>),
}

struct Walk<'w> {
    program: &'w Program,
    subject: Subject<'w>,
    notes: Vec<Option<usize>>,
    retreats: Vec<Retreat>,
    tries_left: u32,
}

impl Program {
    /// Whether something in this name fits.
    ///
    /// # Errors
    /// Nobody knows soon enough, or it depends on what is not known of the name.
    pub(super) fn fits(&self, subject: Subject<'_>) -> Result<bool, Doubt> {
        if subject.name.len() > NAME_LEN_MAX {
            return Err(Doubt::TooMuchWork);
        }
        let mut walk =
            Walk { program: self, subject, notes: vec![None; self.slots], retreats: Vec::new(), tries_left: TRIES_MAX };
        for start in 0..=subject.name.len() {
            if walk.run(0, start)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Walk<'_> {
    /// Runs from a step and a place to the end of that, and says where that is. The ways that are left stay on the list
    /// behind what was there before; when it does not fit, nothing does.
    fn run(&mut self, mut step: usize, mut at: usize) -> Result<Option<usize>, Doubt> {
        let floor = self.retreats.len();
        loop {
            self.tries_left = self.tries_left.checked_sub(1).ok_or(Doubt::TooMuchWork)?;
            if self.program.steps[step] == Step::Done {
                return Ok(Some(at));
            }
            let next = match self.advance(step, at)? {
                Some(next) => Some(next),
                None => self.retreat(floor),
            };
            match next {
                Some(next) => (step, at) = next,
                None => return Ok(None),
            }
        }
    }

    /// Where one step leads.
    fn advance(&mut self, step: usize, at: usize) -> Result<Option<(usize, usize)>, Doubt> {
        let program = self.program;
        Ok(match &program.steps[step] {
            Step::Take(set) => self.subject.has(*set, at)?.then_some((step + 1, at + 1)),
            Step::TakeMany(set, times) => {
                let mut end = at;
                while self.subject.has(*set, end)? {
                    end += 1;
                }
                self.take_many(step + 1, at, end - at, *times)
            }
            Step::Be(place) => self.is_in(*place, at)?.then_some((step + 1, at)),
            Step::Go(there) => Some((*there, at)),
            Step::Try(first, second) => {
                self.retreats.push(Retreat::Step(*second, at));
                Some((*first, at))
            }
            Step::Note(slot) => {
                self.retreats.push(Retreat::Note(*slot, self.notes[*slot]));
                self.notes[*slot] = Some(at);
                Some((step + 1, at))
            }
            Step::LeaveIfIdle(slot, there) => Some((if self.notes[*slot] == Some(at) { *there } else { step + 1 }, at)),
            Step::Again(group, is_caseless) => self.again(*group, *is_caseless, at)?.map(|at| (step + 1, at)),
            Step::Atomic(then) => {
                let floor = self.retreats.len();
                let end = self.run(step + 1, at)?;
                self.keep_notes(floor);
                end.map(|at| (*then, at))
            }
            Step::Look { back, wanted, then } => {
                let floor = self.retreats.len();
                let found = match at.checked_sub(*back) {
                    Some(from) => self.run(step + 1, from)?,
                    None => None,
                };
                match wanted {
                    Wanted::There => self.keep_notes(floor),
                    Wanted::Absent => self.undo(floor),
                }
                (found.is_some() == (*wanted == Wanted::There)).then_some((*then, at))
            }
            Step::Done => None,
        })
    }

    /// Takes as many or as few as may be, and remembers that it could be otherwise.
    fn take_many(&mut self, step: usize, at: usize, len: usize, times: Times) -> Option<(usize, usize)> {
        let as_len = |times: u32| usize::try_from(times).unwrap_or(usize::MAX);
        let (min, max) = (as_len(times.min), times.max.map_or(len, as_len).min(len));
        if max < min {
            return None;
        }
        let (min, max) = (at + min, at + max);
        if min == max {
            return Some((step, max));
        }
        let at = if times.is_greedy { max } else { min };
        let other = if times.is_greedy { Retreat::Less { step, at, min } } else { Retreat::More { step, at, max } };
        self.retreats.push(other);
        Some((step, at))
    }

    /// The next way that is left of those above the floor.
    fn retreat(&mut self, floor: usize) -> Option<(usize, usize)> {
        while self.retreats.len() > floor {
            match self.retreats.pop()? {
                Retreat::Step(step, at) => return Some((step, at)),
                Retreat::Less { step, at, min } => {
                    let at = at - 1;
                    if at > min {
                        self.retreats.push(Retreat::Less { step, at, min });
                    }
                    return Some((step, at));
                }
                Retreat::More { step, at, max } => {
                    let at = at + 1;
                    if at < max {
                        self.retreats.push(Retreat::More { step, at, max });
                    }
                    return Some((step, at));
                }
                Retreat::Note(slot, before) => self.notes[slot] = before,
            }
        }
        None
    }

    /// Forgets other ways, and not what is to be restored.
    fn keep_notes(&mut self, floor: usize) {
        let above = self.retreats.split_off(floor);
        self.retreats.extend(above.into_iter().filter(|retreat| matches!(retreat, Retreat::Note(..))));
    }

    /// Forgets other ways, and restores what was.
    fn undo(&mut self, floor: usize) {
        while self.retreats.len() > floor {
            if let Some(Retreat::Note(slot, before)) = self.retreats.pop() {
                self.notes[slot] = before;
            }
        }
    }

    /// Where what a group took ends, when it comes again. What took nothing yet never comes.
    fn again(&self, group: usize, is_caseless: bool, at: usize) -> Result<Option<usize>, Doubt> {
        let (Some(from), Some(to)) = (self.notes[2 * group], self.notes[2 * group + 1]) else { return Ok(None) };
        let Subject { name, known_len } = self.subject;
        let end = at + to.saturating_sub(from);
        let (Some(taken), Some(here)) = (name.get(from..to), name.get(at..end)) else { return Ok(None) };
        if end.max(to) > known_len && end > at {
            return Err(Doubt::ByName);
        }
        let other = |byte: u8| self.program.cases.map_or(byte, |library| set::other_case(byte, library));
        let is_same = |(one, two): (&u8, &u8)| one == two || is_caseless && other(*one) == *two;
        Ok(taken.iter().zip(here).all(is_same).then_some(end))
    }

    fn is_in(&self, place: Place, at: usize) -> Result<bool, Doubt> {
        let name = self.subject.name;
        let (before, after) = (at.checked_sub(1).and_then(|at| name.get(at)), name.get(at));
        Ok(match place {
            Place::Start => at == 0,
            Place::End => after.is_none(),
            Place::LastEnd => name[at..].is_empty() || name[at..] == *b"\n",
            Place::LineStart => at == 0 || before == Some(&b'\n') && after.is_some(),
            Place::LineEnd => after.is_none() || after == Some(&b'\n'),
            Place::WordEdge | Place::NoWordEdge => {
                let word = self.program.word.unwrap_or_default();
                let is_before = at > 0 && self.subject.has(word, at - 1)?;
                (is_before != self.subject.has(word, at)?) == (place == Place::WordEdge)
            }
        })
    }
}
