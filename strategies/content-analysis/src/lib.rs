//! .
pub mod features;
pub mod model;
#[cfg(feature = "train")]
pub mod train;
/// Bytes.
pub const TEXT_BYTES_MAX: usize = 4096;
