//! What conditions read of the stat server.
//!
//! Each figure is read once a turn, however many interactions go by it: in between nothing is committed that could change
//! it, and some are counted over all agents.

use std::cell::RefCell;
use std::collections::BTreeMap;

use signalbox_engine::{FigureName, Figures, UnixMillis};

use crate::stats::Stats;

/// What was read in this turn.
pub(super) type Read = RefCell<BTreeMap<FigureName, Option<f64>>>;

/// The stat server as a turn sees it.
#[derive(Debug)]
pub(super) struct TurnFigures<'a> {
    pub(super) stats: &'a Stats,
    pub(super) read: &'a Read,
    pub(super) now: UnixMillis,
}

impl Figures for TurnFigures<'_> {
    fn value(&self, figure: &FigureName) -> Option<f64> {
        let known = self.read.borrow().get(figure).copied();
        known.unwrap_or_else(|| {
            let value = self.stats.read(figure, self.now);
            self.read.borrow_mut().insert(figure.clone(), value);
            value
        })
    }
}
