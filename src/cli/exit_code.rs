//! The exit codes of the program.

/// Done as asked.
pub const DONE: u8 = 0;
/// A check failed, or a lab is not as its file says.
pub const OUT_OF_SYNC: u8 = 1;
/// The command line or the file is wrong; nothing was changed.
pub const WRONG_INPUT: u8 = 2;
/// The system refused; what had been changed was undone.
pub const REFUSED: u8 = 3;
