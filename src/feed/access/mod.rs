//! Who used a key, from which address: read from the logs of the user's own proxies, or posted by the user's own software.

mod dialect;
mod entry;
mod flaw;
mod folder;
mod line;
mod pattern;
mod query;
mod tail;
mod trace;

pub use dialect::Dialect;
pub use entry::{Entry, Whose};
pub use flaw::Flaw;
pub use line::{Field, Fields, Form, Reader};
pub use pattern::Pattern;
