//! Figures as tables, and against a recount.

mod recount;
mod tables;
mod world;
