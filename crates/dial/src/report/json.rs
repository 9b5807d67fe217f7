//! A report for programs: `schema/connect-1.json`.

use super::RaceReport;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// The name and version of the form.
const SCHEMA: &str = "twinstack.connect/1";

/// One thing of the timeline, as the machine's own text has it.
#[derive(Serialize)]
struct Happened {
    at_seconds: f64,
    what: String,
}

impl Serialize for RaceReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let events: Vec<Happened> = self
            .timeline()
            .into_iter()
            .map(|(at_seconds, what)| Happened { at_seconds, what })
            .collect();
        let mut report = serializer.serialize_struct("RaceReport", 8)?;
        report.serialize_field("schema", SCHEMA)?;
        report.serialize_field("target", &self.target())?;
        report.serialize_field("winner", &self.winner())?;
        report.serialize_field("elapsed_seconds", &self.elapsed().as_secs_f64())?;
        report.serialize_field("silent_failure", &self.silent_failure())?;
        report.serialize_field("queries", &self.queries())?;
        report.serialize_field("attempts", &self.attempts())?;
        report.serialize_field("events", &events)?;
        report.end()
    }
}
