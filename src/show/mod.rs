//! Everything that people look at.

pub mod report;
