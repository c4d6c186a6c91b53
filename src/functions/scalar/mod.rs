//! The scalar functions.
//!
//! One file each: names, signatures, documentation, examples and body. Every example is run as a test, so the
//! documentation of a function cannot be wrong about what it shows. What several functions share is one level up:
//! `json`, `mask`, `pad`, `sets`, `uri`, `patterns` and so on.
//!
//! Unless a file says otherwise a NULL argument makes the result NULL, and an error fails the row. Positions of
//! characters and lengths of strings are counted in UTF-16 units, as Java counts them, so an emoji has the length 2.

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
    convert_tz
    cos
    cosh
    cot
    dateadd
    datesub
    datetostring
    degrees
    double_from_bytes
    elt
    encode
    entries
    exp
    extractjsonfield
    field
    filter
    floor
    format_date
    format_time
    format_timestamp
    from_bytes
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
    json_array_contains
    json_array_length
    json_concat
    json_items
    json_keys
    json_records
    lcase
    least
    len
    ln
    log
    lpad
    map_keys
    map_union
    map_values
    mask
    mask_keep_left
    mask_keep_right
    mask_left
    mask_right
    md5
    nullif
    parse_time
    parse_timestamp
    pi
    power
    radians
    random
    reduce
    regexp_extract
    regexp_extract_all
    regexp_replace
    regexp_split_to_array
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
    stringtodate
    stringtotimestamp
    substring
    tan
    tanh
    timeadd
    timestampadd
    timestampsub
    timestamptostring
    timesub
    to_bytes
    to_json_string
    transform
    trim
    trunc
    ucase
    unix_date
    unix_timestamp
    url_decode_param
    url_encode_param
    url_extract_fragment
    url_extract_host
    url_extract_parameter
    url_extract_path
    url_extract_port
    url_extract_protocol
    url_extract_query
    uuid
}
