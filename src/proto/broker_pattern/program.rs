//! A pattern as a list of steps, for [`super::walk`].

use super::node::{Node, Place, Times, Wanted};
use super::set::{self, ByteSet};
use super::{Doubt, Library};

/// Steps of one pattern. Whatever is larger repeats large groups often.
const STEPS_MAX: usize = 20_000;

/// A step. Numbers are those of steps, unless they are said to be something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Takes a byte.
    Take(ByteSet),
    /// Takes several bytes of a set.
    TakeMany(ByteSet, Times),
    /// Goes on only in such a place.
    Be(Place),
    /// Goes on there.
    Go(usize),
    /// Tries the first, then the second.
    Try(usize, usize),
    /// Notes in this slot where we are.
    Note(usize),
    /// Goes there if nothing was taken since the note in this slot was made.
    LeaveIfIdle(usize, usize),
    /// Takes what lies between the notes of this group.
    Again(usize, bool),
    /// Runs the steps behind it up to [`Step::Done`] in the first way that fits, and goes on there.
    Atomic(usize),
    /// Runs the steps behind it from here, or from so many bytes before; goes on there with nothing taken.
    Look { back: usize, wanted: Wanted, then: usize },
    /// The end, of all or of what was run in it.
    Done,
}

/// The steps of a pattern, and what they need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    /// Two for each group, and one for each loop that could turn without taking anything.
    pub(super) slots: usize,
    /// What words are made of; only its program asks, so that programs that do not ask are equal in both libraries.
    pub(super) word: Option<ByteSet>,
    /// By whose cases it compares what groups took.
    pub(super) cases: Option<Library>,
}

impl Program {
    /// # Errors
    /// [`Doubt::TooLarge`].
    pub(super) fn compile(node: &Node, groups: usize, library: Library) -> Result<Self, Doubt> {
        let mut program = Self { steps: Vec::new(), slots: 2 * (groups + 1), word: None, cases: None };
        program.add(node, library)?;
        program.push(Step::Done)?;
        Ok(program)
    }

    fn push(&mut self, step: Step) -> Result<usize, Doubt> {
        if self.steps.len() >= STEPS_MAX {
            return Err(Doubt::TooLarge);
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn add(&mut self, node: &Node, library: Library) -> Result<(), Doubt> {
        match node {
            Node::Set(set) => drop(self.push(Step::Take(*set))?),
            Node::Place(place) => {
                if matches!(place, Place::WordEdge | Place::NoWordEdge) {
                    self.word = Some(set::word(library));
                }
                self.push(Step::Be(*place))?;
            }
            Node::Sequence(parts) => parts.iter().try_for_each(|part| self.add(part, library))?,
            Node::Choice(ways) => self.add_choice(ways.iter(), |program, way| program.add(way, library))?,
            Node::Repeat(inside, times) => match **inside {
                Node::Set(set) => drop(self.push(Step::TakeMany(set, *times))?),
                _ => self.add_repeat(inside, *times, library)?,
            },
            Node::Group(inside, number) => {
                self.push(Step::Note(2 * number))?;
                self.add(inside, library)?;
                self.push(Step::Note(2 * number + 1))?;
            }
            Node::Again(number, is_caseless) => {
                if *is_caseless {
                    self.cases = Some(library);
                }
                self.push(Step::Again(*number, *is_caseless))?;
            }
            Node::Atomic(inside) => self.add_inner(Step::Atomic, |program| program.add(inside, library))?,
            Node::Ahead(inside, wanted) => {
                let look = |then| Step::Look { back: 0, wanted: *wanted, then };
                self.add_inner(look, |program| program.add(inside, library))?;
            }
            Node::Behind(ways, wanted) => self.add_behind(ways, *wanted, library)?,
        }
        Ok(())
    }

    /// What runs by itself: which step leads it is known only when it is all there.
    fn add_inner(
        &mut self,
        lead: impl FnOnce(usize) -> Step,
        add: impl FnOnce(&mut Self) -> Result<(), Doubt>,
    ) -> Result<(), Doubt> {
        let at = self.push(Step::Done)?;
        add(self)?;
        let end = self.push(Step::Done)?;
        self.steps[at] = lead(end + 1);
        Ok(())
    }

    fn add_choice<T>(
        &mut self,
        ways: impl ExactSizeIterator<Item = T>,
        mut add: impl FnMut(&mut Self, T) -> Result<(), Doubt>,
    ) -> Result<(), Doubt> {
        let (count, mut ends) = (ways.len(), Vec::new());
        for (index, way) in ways.enumerate() {
            let is_last = index + 1 == count;
            let at = self.steps.len();
            if !is_last {
                self.push(Step::Done)?;
            }
            add(self, way)?;
            if !is_last {
                ends.push(self.push(Step::Done)?);
                self.steps[at] = Step::Try(at + 1, self.steps.len());
            }
        }
        let end = self.steps.len();
        ends.into_iter().for_each(|at| self.steps[at] = Step::Go(end));
        Ok(())
    }

    /// One of the ways is there: a choice of looks. None is: a sequence of them.
    fn add_behind(&mut self, ways: &[(Node, usize)], wanted: Wanted, library: Library) -> Result<(), Doubt> {
        let add = |program: &mut Self, (way, back): &(Node, usize)| {
            let look = |then| Step::Look { back: *back, wanted, then };
            program.add_inner(look, |program| program.add(way, library))
        };
        match wanted {
            Wanted::There => self.add_inner(Step::Atomic, |program| program.add_choice(ways.iter(), add)),
            Wanted::Absent => ways.iter().try_for_each(|way| add(self, way)),
        }
    }

    /// As often as it must be there by as many copies, and then by more copies or by a loop.
    fn add_repeat(&mut self, inside: &Node, times: Times, library: Library) -> Result<(), Doubt> {
        let by_order = |more, enough| if times.is_greedy { Step::Try(more, enough) } else { Step::Try(enough, more) };
        for _ in 0..times.min {
            self.add(inside, library)?;
        }
        let Some(max) = times.max else {
            let at = self.push(Step::Done)?;
            let slot = self.slots;
            let may_idle = inside.may_be_empty();
            if may_idle {
                self.slots += 1;
                self.push(Step::Note(slot))?;
            }
            self.add(inside, library)?;
            let end = self.steps.len() + 1 + usize::from(may_idle);
            if may_idle {
                self.push(Step::LeaveIfIdle(slot, end))?;
            }
            self.push(Step::Go(at))?;
            self.steps[at] = by_order(at + 1, end);
            return Ok(());
        };
        let mut tries = Vec::new();
        for _ in times.min..max {
            tries.push(self.push(Step::Done)?);
            self.add(inside, library)?;
        }
        let end = self.steps.len();
        tries.into_iter().for_each(|at| self.steps[at] = by_order(at + 1, end));
        Ok(())
    }
}
