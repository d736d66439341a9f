//! One namespace of a lab: everything in it that decides what becomes of a packet, and what runs there.

mod text;
mod view;

pub use text::namespace;
pub use view::NamespaceStatusView;
