//! Who watches: lines on standard output as they become known, and on a terminal a bar on standard error while
//! something takes its time.

use super::story::{Check, Client, Mend, Network, Published, Round, Run, Story};
use super::text;
use crate::environment::Environment;
use crate::render::text::{Line, paint};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Narrower is not laid out any more, and wider is not easier to read.
const COLUMNS: std::ops::RangeInclusive<usize> = 60..=80;

/// Tells the story while it happens.
pub(super) struct Audience<'a, 'b> {
    environment: &'a mut Environment<'b>,
    /// JSON comes at the end, in one piece; until then there is nothing to say.
    human: bool,
    bar: ProgressBar,
}

impl<'a, 'b> Audience<'a, 'b> {
    pub(super) fn new(environment: &'a mut Environment<'b>, human: bool) -> Self {
        Self {
            environment,
            human,
            bar: ProgressBar::hidden(),
        }
    }

    fn columns(&self) -> usize {
        self.environment
            .text_width()
            .clamp(*COLUMNS.start(), *COLUMNS.end())
    }

    fn say(&mut self, lines: &[Line]) -> anyhow::Result<()> {
        if !self.human {
            return Ok(());
        }
        let text = paint(lines, self.environment.stdout.colour);
        let stdout = &mut self.environment.stdout;
        self.bar.suspend(|| stdout.print(&text))
    }

    pub(super) fn opening(&mut self, with_fault: bool) -> anyhow::Result<()> {
        self.say(&text::opening(with_fault, self.columns()))
    }

    pub(super) fn act(&mut self, number: usize, title: &str) -> anyhow::Result<()> {
        self.say(&text::act(number, title))
    }

    pub(super) fn space(&mut self) -> anyhow::Result<()> {
        self.say(&[Line::default()])
    }

    pub(super) fn published(&mut self, published: &Published) -> anyhow::Result<()> {
        self.say(&text::published(published, self.columns()))
    }

    pub(super) fn cast(&mut self, networks: &[Network], clients: &[Client]) -> anyhow::Result<()> {
        self.say(&text::cast(networks, clients, self.columns()))
    }

    pub(super) fn table_head(&mut self, rows: &[(String, String)]) -> anyhow::Result<()> {
        self.say(&[text::head(rows)])
    }

    pub(super) fn table_row(&mut self, run: &Run, rows: &[(String, String)]) -> anyhow::Result<()> {
        self.say(&[text::row(run, rows)])
    }

    pub(super) fn checks(&mut self, checks: &[Check]) -> anyhow::Result<()> {
        for check in checks {
            self.say(&text::check(check, self.columns()))?;
        }
        Ok(())
    }

    pub(super) fn vantages(&mut self, round: &Round) -> anyhow::Result<()> {
        self.say(&text::vantages(round, self.columns()))
    }

    pub(super) fn mend(
        &mut self,
        mend: &Mend,
        name: &str,
        before: Option<&Run>,
    ) -> anyhow::Result<()> {
        self.say(&text::mend(mend, name, before, self.columns()))
    }

    pub(super) fn comparison(&mut self, before: &Round, after: &Round) -> anyhow::Result<()> {
        self.say(&text::comparison(before, after))
    }

    pub(super) fn end(&mut self, story: &Story) -> anyhow::Result<()> {
        self.say(&text::ending(story, self.columns()))
    }

    /// Something is going on; nobody knows for how long.
    pub(super) fn working(&mut self, what: &str) {
        self.show(ProgressBar::new_spinner(), "   {spinner} {msg}");
        self.bar.set_message(what.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Somebody waits, and gives up at the limit.
    pub(super) fn waiting(&mut self, who: &str, limit: Duration) {
        let length = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.show(ProgressBar::new(length), "   {msg}  [{bar:30}]  {prefix}");
        self.bar.set_message(format!("{who} waits"));
    }

    /// How long by now.
    pub(super) fn waited(&self, elapsed: Duration) {
        let limit = Duration::from_millis(self.bar.length().unwrap_or_default());
        self.bar
            .set_position(u64::try_from(elapsed.min(limit).as_millis()).unwrap_or_default());
        self.bar.set_prefix(format!(
            "{:.0} s of {:.0} s",
            elapsed.as_secs_f64(),
            limit.as_secs_f64()
        ));
    }

    /// Nothing to watch any more.
    pub(super) fn quiet(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }

    fn show(&mut self, bar: ProgressBar, template: &str) {
        self.quiet();
        if !self.environment.stderr.is_terminal {
            return;
        }
        bar.set_draw_target(ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        self.bar = bar;
    }
}

impl Drop for Audience<'_, '_> {
    fn drop(&mut self) {
        // After an error too, the terminal is left as it was.
        self.bar.finish_and_clear();
    }
}
