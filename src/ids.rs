//! Numbers that name things. Each kind is a type of its own, so that none can be taken for another.
//!
//! On disk they are bare numbers: encoders write what `get` returns, decoders pass what they read to `new`.

use std::fmt;

/// Declares a type for each kind of number. It prints as the bare number.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The id with this number.
            pub const fn new(number: u64) -> Self {
                $name(number)
            }

            /// The bare number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The id that directly follows this one.
            pub const fn next(self) -> Self {
                $name(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )* };
}

kinds! {
    /// Names a topic. It is never used again, whatever happens to the topic's name.
    TopicId,
    /// Names a query. From 0; the id in SQL, such as `CTAS_NAME_7`, ends with it unless the user gave the id.
    ///
    /// A number is never used again. Transient queries count for themselves, so a persistent one may have the same number.
    QueryNumber,
    /// Counts the epochs of a query, from 1 without gaps; 0 stands before the first.
    EpochNumber,
    /// Counts the changes of the catalog. The version that a statement was validated at names the statement's record.
    Version,
    /// Counts the rounds of the journal, from 1; 0 stands before the first.
    RoundNumber,
    /// Names a file of the journal. A later file has a greater number.
    Generation,
    /// Names a run, a file of state. After a merge the order of numbers is not the order of age.
    RunNumber,
    /// Names a walk over a table, among those of its query.
    WalkId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_its_number_with_the_width_of_the_format() {
        assert_eq!(format!("{} {:05}", TopicId::new(7), Generation::new(7).next()), "7 00008");
    }
}
