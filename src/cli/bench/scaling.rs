//! Scaling: how much sooner a query is done with two workers than with one.

use super::pipeline::Options;
use super::{Benchmark, Measured, PIPELINES};
use crate::config;
use crate::error::{Error, Result};

/// The standard pipelines with one worker and with two.
pub(super) struct Scaling;

/// The pipelines, and the names of their figures.
const SCALED: &[(&str, &str)] = &[
    ("filter_project", "filter_project_times_faster"),
    ("tumbling_count_1k", "tumbling_count_1k_times_faster"),
    ("windowed_join", "windowed_join_times_faster"),
];

impl Benchmark for Scaling {
    fn name(&self) -> &'static str {
        "scaling"
    }

    fn summary(&self) -> &'static str {
        "how many times faster a filter, a count and a join are with two workers than with one"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        let mut figures = Vec::new();
        for (pipeline, figure) in SCALED {
            let found = PIPELINES.iter().find(|known| known.name == *pipeline);
            let pipeline = found.ok_or_else(|| Error::bug("a pipeline that is not listed"))?;
            let mut wall = [0.0; 2];
            for (workers, wall) in wall.iter_mut().enumerate() {
                let mut properties = options.properties.clone();
                properties.set(config::WORKERS, &(workers + 1).to_string())?;
                let measured = pipeline.run(&Options { properties: &properties, ..*options })?;
                *wall = measured.wall_seconds.unwrap_or_default();
            }
            figures.push((*figure, wall[0] / wall[1]));
        }
        Ok(Measured::of(self.name(), &figures))
    }
}
