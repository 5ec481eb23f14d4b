//! Patterns as Go's `regexp` reads them: what it matches is matched here, and nothing else.
//!
//! The scheduler of MIG reads its list with it (docs/mig.md), and the syntax of the crate `regex` differs from it in
//! ways that admit and refuse wrongly. So a pattern is read here by Go's rules, and only the matching is left to the
//! crate. Which Go a scheduler was built with is not known: what its versions (1.15 to 1.27 were compared) do not all
//! take alike is refused, with what to write instead. One thing remains: which characters a property such as `\p{Greek}`
//! has grows with Unicode, of which Go 1.15 has version 12, Go 1.27 version 17, and `regex-syntax` version 16. For
//! characters that came in between, a match is the one of `regex-syntax`.

mod alternation;
mod class;
mod escape;
mod fold;
mod node;
mod parser;
mod property;
mod refusal;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;

use regex_automata::meta;
use regex_syntax::hir::{Hir, Look};

use parser::Parser;
pub use refusal::{Reason, Refusal, Side};

/// Longest pattern: with `^` and `$` what a line of 64 KiB has room for, above which MIG's scheduler stops reading.
pub const PATTERN_LEN_MAX: usize = 64 * 1024;
/// How many constructs may be within one another: Go's own limit.
pub const DEPTH_MAX: usize = 1000;
/// How deep the program may nest, in which a group is nothing of its own. A level takes 8 KiB of stack where the compiler
/// does not optimize, and threads have 2 MiB.
pub const PROGRAM_DEPTH_MAX: usize = 100;
/// How often something is repeated at most: Go's own limit.
pub const REPEAT_MAX: u32 = 1000;
/// Ranges of all classes of a pattern. `\pL` alone has more than 600, and three letters can ask for it.
pub const CLASS_RANGES_MAX: usize = 500_000;
/// Characters whose other cases are looked up for a pattern. It takes about a tenth of a microsecond each.
pub const FOLDED_MAX: usize = 4_000_000;
/// Bytes of a compiled program. Go's own limit would let one line take 128 MiB.
pub const PROGRAM_SIZE_MAX: usize = 16 << 20;
/// How many parts of a refused pattern are replaced to find one that is taken.
const SWAPS_MAX: usize = 8;

/// A pattern of Go, compiled.
#[derive(Clone)]
pub struct GoRegex {
    program: meta::Regex,
    is_whole: bool,
}

impl GoRegex {
    /// As `regexp.Compile` does.
    pub fn compile(pattern: &str) -> Result<Self, Refusal> {
        let mut refusal = match Self::read(pattern) {
            Ok(regex) => return Ok(regex),
            Err(refusal) => refusal,
        };
        let mut swapped = refusal.swapped(pattern);
        for _ in 0..SWAPS_MAX {
            let Some(candidate) = swapped else { break };
            swapped = match Self::read(&candidate) {
                Ok(_) => {
                    refusal.instead = Some(candidate);
                    break;
                }
                Err(other) => other.swapped(&candidate),
            };
        }
        Err(refusal)
    }

    /// Whether some part of this matches, as `MatchString` tells. It takes as long as the program is large and the
    /// subject long, multiplied.
    pub fn is_match(&self, subject: &str) -> bool {
        self.program.is_match(subject)
    }

    /// Whether only the whole of a subject can match, in every alternative.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// How many bytes the program takes.
    pub fn size(&self) -> usize {
        self.program.memory_usage()
    }

    fn read(pattern: &str) -> Result<Self, Refusal> {
        if pattern.len() > PATTERN_LEN_MAX {
            return Err(Refusal::new(Reason::TooLong, PATTERN_LEN_MAX));
        }
        let tree = Parser::new(pattern).run()?;
        if tree.depth > PROGRAM_DEPTH_MAX {
            return Err(Refusal::new(Reason::ProgramTooDeep, 0));
        }
        let hir = tree.into_hir();
        let is_whole = is_whole(&hir);
        // What is left out would cost more memory than these subjects are worth.
        let config = meta::Config::new().nfa_size_limit(Some(PROGRAM_SIZE_MAX)).hybrid(false).dfa(false).onepass(false);
        let program = meta::Builder::new().configure(config).build_from_hir(&hir);
        let program = program.map_err(|_| Refusal::new(Reason::ProgramTooLarge, 0))?;
        Ok(Self { program, is_whole })
    }
}

/// Without the program, which has a line for each of its states.
impl fmt::Debug for GoRegex {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("GoRegex").field("is_whole", &self.is_whole).finish_non_exhaustive()
    }
}

fn is_whole(hir: &Hir) -> bool {
    let properties = hir.properties();
    properties.look_set_prefix().contains(Look::Start) && properties.look_set_suffix().contains(Look::End)
}
