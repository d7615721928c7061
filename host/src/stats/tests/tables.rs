//! One table for each measure and profile.
