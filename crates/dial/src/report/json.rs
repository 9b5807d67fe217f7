//! A report as `twinstack.connect/1`; `schema/connect-1.json` describes it.

use super::{AttemptReport, QueryReport, RaceReport};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

/// The version of the format.
const SCHEMA: &str = "twinstack.connect/1";

impl Serialize for RaceReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let queries = self.queries();
        let attempts = self.attempts();
        let events = events(&queries, &attempts);
        let mut report = serializer.serialize_struct("RaceReport", 9)?;
        report.serialize_field("schema", SCHEMA)?;
        report.serialize_field("target", &self.target())?;
        report.serialize_field("winner", &self.winner())?;
        report.serialize_field("reason", &self.failure_reason())?;
        report.serialize_field("elapsed_seconds", &self.elapsed().as_secs_f64())?;
        report.serialize_field("silent_failure", &self.silent_failure())?;
        report.serialize_field("queries", &queries)?;
        report.serialize_field("attempts", &attempts)?;
        report.serialize_field("events", &events)?;
        report.end()
    }
}

/// One line of the timeline.
#[derive(serde::Serialize)]
struct EventReport {
    at_seconds: f64,
    event: &'static str,
    id: u32,
    text: String,
}

/// Queries and attempts, cut into what happened when.
fn events(queries: &[QueryReport], attempts: &[AttemptReport]) -> Vec<EventReport> {
    let mut events = Vec::new();
    for query in queries {
        let question = format!("{} {}", query.kind, query.name);
        events.push(EventReport {
            at_seconds: query.started_seconds,
            event: "query",
            id: query.id,
            text: question.clone(),
        });
        if let Some(at_seconds) = query.ended_seconds {
            let told = match &query.error {
                Some(error) => error.clone(),
                None => query.records.join(", "),
            };
            events.push(EventReport {
                at_seconds,
                event: "answer",
                id: query.id,
                text: format!("{question}: {told}"),
            });
        }
    }
    for attempt in attempts {
        let to = format!("{} {}", attempt.address, attempt.protocol);
        let mut push = |at_seconds, event, text| {
            events.push(EventReport {
                at_seconds,
                event,
                id: attempt.id,
                text,
            });
        };
        push(
            attempt.started_seconds,
            "attempt",
            format!("{to} ({}; {})", attempt.cause, attempt.order),
        );
        if let Some(at) = attempt.progress_seconds {
            push(at, "progress", to.clone());
        }
        if let Some(at) = attempt.ended_seconds {
            let why = attempt
                .error
                .as_ref()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            push(at, attempt.outcome, format!("{to}{why}"));
        }
    }
    // The sort is stable: what happened in one moment stays in the order above.
    events.sort_by(|one, other| one.at_seconds.total_cmp(&other.at_seconds));
    events
}
