//! A pattern that is read from its beginning to its end.

/// Where the reading is. It never stands within a character.
#[derive(Clone, Debug)]
pub(super) struct Scan<'p> {
    pattern: &'p str,
    at: usize,
}

impl<'p> Scan<'p> {
    pub fn new(pattern: &'p str) -> Self {
        Self { pattern, at: 0 }
    }

    /// How many bytes are read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    /// What was read since then.
    pub fn since(&self, start: usize) -> &'p str {
        &self.pattern[start..self.at]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The character behind the next one.
    pub fn second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    pub fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Reads this text if it is next, and tells whether it was.
    pub fn takes(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    /// Reads up to this text and the text itself; of both the first is returned. Without such a text nothing is read.
    pub fn take_through(&mut self, text: &str) -> Option<&'p str> {
        let (before, _) = self.rest().split_once(text)?;
        self.at += before.len() + text.len();
        Some(before)
    }

    pub fn take_rest(&mut self) -> &'p str {
        let rest = self.rest();
        self.at = self.pattern.len();
        rest
    }
}
