//! Which parts of its key's value a request looks for.
//!
//! A large value is a table in memory that nobody has touched for long: its bucket, its page and the bytes of a part are each
//! waited for in turn.  The requests of a batch are known before they run, so the executor has the memory of all their parts
//! brought closer at once, as it has that of their keys (`executor/lookup`).

use quartet_protocol::resp::Arguments;

/// Where the fields or members are among the arguments that a command looks for in the value of its first key.  It is for
/// bringing memory closer alone: a request whose options move its parts to other places is answered as well, only later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts {
    /// The position of the first one, the command's name being 0; 0 if there are none.
    first: u8,
    /// The distance from one to the next; 0 if there is only one.
    step: u8,
}

impl Parts {
    /// The command looks for none.
    pub const NONE: Parts = Parts { first: 0, step: 0 };

    /// One, right after the key.
    pub const ONE: Parts = Parts { first: 2, step: 0 };

    /// Each argument after the key.
    pub const ALL: Parts = Parts { first: 2, step: 1 };

    /// The first of each pair of arguments after the key.
    pub const FIRST_OF_PAIRS: Parts = Parts { first: 2, step: 2 };

    /// The second of each pair of arguments after the key.
    pub const SECOND_OF_PAIRS: Parts = Parts { first: 3, step: 2 };

    /// Whether a command looks for none.
    #[inline]
    pub const fn are_none(self) -> bool {
        self.first == 0
    }

    /// The parts that a request looks for.
    pub fn of(self, arguments: Arguments<'_>) -> impl Iterator<Item = &[u8]> {
        let end = match self {
            Parts::NONE => 0,
            Parts { first, step: 0 } => arguments.len().min(usize::from(first) + 1),
            _ => arguments.len(),
        };
        let positions = (usize::from(self.first)..end).step_by(usize::from(self.step.max(1)));
        positions.map(move |position| arguments.at(position))
    }
}

#[cfg(test)]
mod tests {
    use quartet_protocol::resp::OwnedArguments;

    use super::Parts;

    #[test]
    fn parts_are_found_among_the_arguments() {
        let parts = |parts: Parts, request: &str| {
            let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
            let arguments = OwnedArguments::from_slices(&words);
            let found: Vec<&[u8]> = parts.of(arguments.as_arguments()).collect();
            String::from_utf8_lossy(&found.join(&b' ')).into_owned()
        };
        assert_eq!(parts(Parts::NONE, "GET key"), "");
        assert_eq!(parts(Parts::ONE, "HINCRBY key field 1"), "field");
        assert_eq!(parts(Parts::ALL, "SADD key a b c"), "a b c");
        assert_eq!(parts(Parts::FIRST_OF_PAIRS, "HSET key a 1 b 2"), "a b");
        assert_eq!(parts(Parts::SECOND_OF_PAIRS, "ZADD key 1 a 2 b"), "a b");
        for one in [Parts::ONE, Parts::ALL, Parts::FIRST_OF_PAIRS, Parts::SECOND_OF_PAIRS] {
            assert_eq!(parts(one, "HSET key"), "");
        }
    }
}
