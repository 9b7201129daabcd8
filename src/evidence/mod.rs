//! What happened, so that an exchange's support, the police and a court can check it: a page for people, the same for
//! machines, the frames it rests on, all hashed and signed.

mod bundle;
mod gather;
mod page;
mod record;
mod tar;

pub use bundle::{Bundle, Flaw, SigningKey, is_bundle, read, verify};
pub use gather::{Asked, Error, gather};
pub use page::page;
pub use record::{FillRow, GapRow, HistoryRow, KeyRow, OrderRow, Record, SegmentRow, Sent, UseRow};
