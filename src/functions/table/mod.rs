//! The table functions: what each makes of a row is an array, whose items become rows.
//!
//! So each is a [`Scalar`](super::Scalar) that returns an array; the plan puts the rows in the array's place.

macro_rules! shelf {
    ($($name:ident)*) => {
        $(mod $name;)*
        /// All of them.
        pub const ALL: &[&super::Scalar] = &[$(&$name::FUNCTION),*];
    };
}

shelf! {
    cube_explode
    explode
}
