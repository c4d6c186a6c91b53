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
    acos
    array_concat
    array_contains
    array_distinct
    array_except
    array_intersect
    array_join
    array_length
    array_max
    array_min
    array_remove
    array_sort
    array_union
    as_map
    as_value
    asin
    atan
    atan2
    bigint_from_bytes
    cbrt
    ceil
    chr
    coalesce
    concat
    concat_ws
    cos
    cosh
    cot
    dateadd
    datesub
    degrees
    double_from_bytes
    elt
    exp
    field
    floor
    from_days
    from_unixtime
    generate_series
    geo_distance
    greatest
    ifnull
    initcap
    instr
    int_from_bytes
    is_json_string
    lcase
    least
    len
    ln
    log
    lpad
    map_keys
    map_union
    map_values
    nullif
    pi
    power
    radians
    replace
    round
    rpad
    sign
    sin
    sinh
    slice
    split
    split_to_map
    sqrt
    substring
    tan
    tanh
    timeadd
    timestampadd
    timestampsub
    timesub
    trim
    trunc
    ucase
    unix_date
    unix_timestamp
}
