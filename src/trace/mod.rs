//! What is told of one packet: its way through the lab and back, and where and why it ends.
//!
//! A [`Trace`] comes from the model alone (`expected`), or from the packets that were seen in a live lab (`sighted`),
//! read from the bytes of frames (`frame`). `diagnosis` finds why a packet did not arrive, from the `evidence`: what
//! was seen, what the model makes of the live lab and of the file (`differences`, and `altered` interfaces), and what
//! has been `counted`. `refused` is about refusals, `unexplained` about what the model knows no reason for. `words`
//! says it, and `remedy` what to do; `promises` finds the checks that cannot pass by the file alone (`silence` those
//! of them that expect no answer, and get one), `lookup` what one namespace does with a packet. Pure functions: this
//! room asks no kernel, sends nothing, and knows nothing of terminals.

mod altered;
mod counted;
mod diagnosis;
mod differences;
mod evidence;
mod expected;
mod frame;
mod lookup;
mod promises;
mod refused;
mod remedy;
mod sighted;
mod silence;
mod sources;
mod story;
mod unexplained;
mod words;

pub use diagnosis::diagnose;
pub use evidence::{Counted, Evidence, ProbeEnd};
pub use expected::expected;
pub use frame::{Heard, Kind, Mark, Seen, read};
pub use lookup::{Lookup, LookupRow, lookup};
pub use promises::{Doubt, doubts};
pub use remedy::Remedies;
pub use sighted::Sighting;
pub use story::{Direction, Ending, Sight, Stage, Trace};
pub use words::end;
