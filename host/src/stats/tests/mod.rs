//! Figures as tables, and against a recount.

mod own;
mod recount;
mod tables;
mod world;
