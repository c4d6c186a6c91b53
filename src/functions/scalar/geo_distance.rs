//! `GEO_DISTANCE`: the distance between two places.

use arrow::array::ArrayRef;

use crate::functions::call::{Call, Reader};
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar, distance};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "GEO_DISTANCE",
    shown: "geo_distance",
    category: "OTHER",
    summary: "The great-circle distance between two places in degrees, in kilometres or miles.",
    examples: &[("GEO_DISTANCE(0, 0, 0, 0)", "0.0")],
    overloads: &[
        Overload {
            params: &[
                param("lat1", T::Double),
                param("lon1", T::Double),
                param("lat2", T::Double),
                param("lon2", T::Double),
            ],
            returns: Returns::Is(SqlType::Double),
            body: |call| distances(call, false),
        },
        Overload {
            params: &[
                param("lat1", T::Double),
                param("lon1", T::Double),
                param("lat2", T::Double),
                param("lon2", T::Double),
                param("units", T::String).meaning(Meaning::Distance),
            ],
            returns: Returns::Is(SqlType::Double),
            body: |call| distances(call, true),
        },
    ],
};

/// The haversine formula on a sphere: latitudes and longitudes in degrees, the result in the unit that is given,
/// kilometres by default.
///
/// A NULL coordinate is an error, not NULL; a NULL unit is taken for the default.
fn distances(call: &mut Call, with_unit: bool) -> ArrayRef {
    let args: Vec<Reader> = call.readers();
    call.rows(|row| {
        let number = |at: usize| args[at].get::<f64>(row).ok_or("a coordinate is NULL");
        let unit = if with_unit { args[4].get::<&str>(row) } else { None };
        let radius = distance::radius(unit.unwrap_or_default())
            .ok_or("GeoDistance function units parameter must be one of miles or kilometers")?;
        let (lat1, lon1, lat2, lon2) = (number(0)?, number(1)?, number(2)?, number(3)?);
        if lat1.abs() > 90.0 || lat2.abs() > 90.0 || lon1.abs() > 180.0 || lon2.abs() > 180.0 {
            return Err("valid latitude values for GeoDistance function are in the range of -90 to 90 and longitudes \
                        in the range of -180 to 180"
                .into());
        }
        let (lat, lon) = ((lat2 - lat1).to_radians(), (lon2 - lon1).to_radians());
        let (from, to) = (lat1.to_radians(), lat2.to_radians());
        let a = (lat / 2.0).sin().powi(2) + (lon / 2.0).sin().powi(2) * from.cos() * to.cos();
        Ok(Some(radius * 2.0 * a.sqrt().asin()))
    })
}
