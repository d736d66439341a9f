//! nslab: networks on one Linux machine, from a topology file to a proven network and back to nothing.
//!
//! Data flows one way: [`topology`] reads the file into a [`lab::Lab`] (what is wanted), [`kernel`] observes a
//! [`lab::Observed`] (what is), [`plan`] turns the difference into ordered [`steps`], [`preflight`] looks before the
//! leap, [`engine`] runs them, [`check`] proves what the file promises, and [`show`] is everything that people look at.
//! See `docs/architecture.md`.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod certificates;
pub mod check;
pub mod cli;
pub mod dns;
pub mod engine;
mod failpoint;
pub mod forwarding;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod ingress;
pub mod iptables;
pub mod kernel;
pub mod lab;
pub mod plan;
pub mod policies;
pub mod preflight;
mod programs;
mod servers;
pub mod services;
pub mod show;
mod state;
pub mod steps;
pub mod topology;
pub mod trace;
