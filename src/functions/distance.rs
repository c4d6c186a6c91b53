//! Units of distances on the earth.

/// The earth's radius in the unit of this name, in any case; kilometres if it is blank. `None` for other names.
///
/// 3959 miles and 6371 kilometres are ksqlDB's figures; GEO_DISTANCE takes the earth for a sphere.
pub(super) fn radius(unit: &str) -> Option<f64> {
    match unit.trim().to_lowercase().as_str() {
        "" | "km" | "kilometer" | "kilometers" | "kilometre" | "kilometres" => Some(6371.0),
        "mi" | "mile" | "miles" => Some(3959.0),
        _ => None,
    }
}
