//! Looks for configured keys in files that were published: ids, secrets and passphrases, as they are and in their common
//! spellings. What is looked for never leaves this module: a find is told by account, kind, file and place.

mod finder;
pub mod folder;
mod needle;
mod scan;

pub use finder::Finder;
pub use needle::{Needle, Part, spellings};
pub(crate) use scan::shown;
pub use scan::{Find, Report, Scanner};
