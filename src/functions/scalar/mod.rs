//! The scalar functions.

macro_rules! shelf {
    ($($name:ident)*) => {
        $(mod $name;)*
        /// All of them.
        pub const ALL: &[&super::Scalar] = &[$(&$name::FUNCTION),*];
    };
}

shelf! {
    abs
    as_value
    coalesce
    concat
    len
    round
    substring
    ucase
}
