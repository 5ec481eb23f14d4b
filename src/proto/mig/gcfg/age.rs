//! The age of programs: a month of their history.

use std::fmt;

/// A month from March 2015, when the guide was written, to September 2019, when the last change was made. A program of
/// an age has all that came into the master branch in that month and before, with two exceptions: `2015-03` is the
/// guide's program of 20 March, and `2018-11` the last one before agents sent heartbeats to the API (9 November).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    year: u16,
    month: u8,
}

impl Age {
    /// The first one that files can be written for.
    pub const FIRST: Self = Self::of(2015, 3);
    /// The last one: programs did not change afterwards.
    pub const LAST: Self = Self::of(2019, 9);

    /// Whether agents of that age have the checks of signatures that `acl` warns about.
    pub fn is_before_2018(self) -> bool {
        self.year < 2018
    }

    pub(super) const fn of(year: u16, month: u8) -> Self {
        Self { year, month }
    }

    /// An age as a person writes it, such as `2017-07`.
    ///
    /// # Errors
    ///
    /// Says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mistake = || format!("expected a month from {} to {}, such as 2017-07", Self::FIRST, Self::LAST);
        let (year, month) = text.split_once('-').ok_or_else(mistake)?;
        let is_month =
            year.len() == 4 && month.len() == 2 && (year.bytes().chain(month.bytes())).all(|b| b.is_ascii_digit());
        match (year.parse(), month.parse()) {
            (Ok(year), Ok(month @ 1..=12)) if is_month => Some(Self::of(year, month)),
            _ => None,
        }
        .filter(|age| (Self::FIRST..=Self::LAST).contains(age))
        .ok_or_else(mistake)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}
